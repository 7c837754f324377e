//! The HTTP of the metrics endpoint, without a socket: requests that may be incomplete, and their answers.

use std::io;

/// Bytes of a request that are read before it is refused. It is longer by what the last read brought.
pub const MAX_REQUEST: usize = 8192;
/// Header fields of a request.
const MAX_FIELDS: usize = 64;

/// Returns the answer to a request, of which this much has come, or `None` while that is not all of it. `page` is what
/// `GET /metrics` asks for. Nothing of the request is in any answer.
///
/// # Errors
/// There is no page.
pub fn answer(
    request: &[u8],
    page: impl FnOnce() -> io::Result<String>,
) -> io::Result<Option<String>> {
    let Some(status) = classify(request) else {
        return Ok(None);
    };
    let (kind, body) = match status {
        Status::Fine => (
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            page()?,
        ),
        _ => ("text/plain; charset=utf-8", format!("{}\n", status.line())),
    };
    let allow = if status == Status::OtherMethod {
        "Allow: GET\r\n"
    } else {
        ""
    };
    Ok(Some(format!(
        "HTTP/1.1 {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{allow}Connection: close\r\n\r\n{body}",
        status.line(),
        body.len(),
    )))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Fine,
    Malformed,
    NotFound,
    OtherMethod,
    TooLong,
}

impl Status {
    const fn line(self) -> &'static str {
        match self {
            Self::Fine => "200 OK",
            Self::Malformed => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::OtherMethod => "405 Method Not Allowed",
            Self::TooLong => "431 Request Header Fields Too Large",
        }
    }
}

/// Classifies a request; `None` while it is not whole.
fn classify(octets: &[u8]) -> Option<Status> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(octets) {
        Err(httparse::Error::TooManyHeaders) => Some(Status::TooLong),
        Err(_) => Some(Status::Malformed),
        Ok(httparse::Status::Partial) => (octets.len() >= MAX_REQUEST).then_some(Status::TooLong),
        Ok(httparse::Status::Complete(_)) => {
            let path = request.path.unwrap_or_default();
            let path = path.split_once('?').map_or(path, |(path, _)| path);
            Some(match (path, request.method) {
                ("/metrics", Some("GET")) => Status::Fine,
                ("/metrics", _) => Status::OtherMethod,
                _ => Status::NotFound,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_get_metrics_is_fine() {
        let status = |text: &str| classify(text.as_bytes());
        let whole = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(status(&whole[..end]), None, "{end}");
        }
        assert_eq!(status(whole), Some(Status::Fine));
        assert_eq!(
            status("GET /metrics?a=b HTTP/1.0\r\n\r\n"),
            Some(Status::Fine)
        );
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), Some(Status::NotFound));
        assert_eq!(
            status("POST /metrics HTTP/1.1\r\n\r\n"),
            Some(Status::OtherMethod)
        );
        assert_eq!(status("\x16\x03\x01"), Some(Status::Malformed));
        let many = "a: b\r\n".repeat(65);
        assert_eq!(
            status(&format!("GET /metrics HTTP/1.1\r\n{many}\r\n")),
            Some(Status::TooLong)
        );
        let long = format!("GET /metrics HTTP/1.1\r\na: {}", "b".repeat(MAX_REQUEST));
        assert_eq!(status(&long), Some(Status::TooLong));
    }
}
