//! A request to the metrics endpoint, possibly incomplete.

use hii_server::metrics::http::{MAX_REQUEST, answer};

/// The body of the answer to `GET /metrics`.
const PAGE: &str = "hii_frames_total 7\n# EOF\n";

/// Positions of a long request at which it is cut.
const MAX_CUTS: usize = 64;

/// Any octets as a request to the metrics endpoint. Each answer is one of five, complete and without anything of the
/// request; only `GET /metrics` gets the page; what follows a request does not change its answer; and a request is never
/// read without end.
pub fn metrics_request(octets: &[u8]) {
    let whole = status(octets);
    if octets.len() >= MAX_REQUEST {
        assert!(whole.is_some(), "more of it is read than may be");
    }
    if whole == Some(200) {
        // Empty lines before a request are allowed (RFC 9112, section 2.2).
        let line = octets.trim_ascii_start();
        let rest = line.strip_prefix(b"GET /metrics").expect("that page");
        assert!(matches!(rest.first(), Some(b' ' | b'?')));
    }
    let short = &octets[..octets.len().min(MAX_REQUEST - 1)];
    let whole = status(short);
    for cut in (0..short.len()).step_by(short.len() / MAX_CUTS + 1) {
        let early = status(&short[..cut]);
        assert!(
            early.is_none() || early == whole,
            "{early:?} at {cut}, {whole:?}"
        );
    }
}

/// The status of the answer, which is as it has to be.
fn status(octets: &[u8]) -> Option<u16> {
    let answer = answer(octets, || Ok(PAGE.into())).expect("there is a page")?;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default();
    let (kind, allow) = match line {
        "HTTP/1.1 200 OK" => {
            assert_eq!(body, PAGE);
            (
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                None,
            )
        }
        "HTTP/1.1 405 Method Not Allowed" => ("text/plain; charset=utf-8", Some("Allow: GET")),
        "HTTP/1.1 400 Bad Request"
        | "HTTP/1.1 404 Not Found"
        | "HTTP/1.1 431 Request Header Fields Too Large" => ("text/plain; charset=utf-8", None),
        other => panic!("{other}"),
    };
    let status = line.strip_prefix("HTTP/1.1 ").expect("the same for all");
    if body != PAGE {
        assert_eq!(body, format!("{status}\n"));
    }
    let kind = format!("Content-Type: {kind}");
    let length = format!("Content-Length: {}", body.len());
    let fields = [&*kind, &*length].into_iter().chain(allow);
    assert!(lines.eq(fields.chain(["Connection: close"])), "{head}");
    let number = status.split(' ').next().unwrap_or_default();
    Some(number.parse().expect("a number"))
}
