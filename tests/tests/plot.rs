//! `hii ping --plot`, the built program: what it draws, and what it does when it cannot.

use std::collections::HashSet;
use std::fs;
use std::io::Cursor;
use std::net::UdpSocket;
use std::time::Duration;

use hii_tests::path::{Path, loses_one_of};
use hii_tests::programs::{self, Ended, Server, count, finish, output, run, start};
use hii_tests::scratch::{Directory, page_data};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

fn server(args: &[&str]) -> Server {
    Server::start(
        HII_SERVER,
        &[&["ping", "-b", "127.0.0.1", "--json"], args].concat(),
    )
}

/// Measures over a path that loses some there and some back, and draws into these files.
fn ping(directory: &Directory, files: &[&str], args: &[&str]) -> Ended {
    let server = server(&["--delay", "0..30ms", "--seed", "3"]);
    let path = Path::new(server.address(), loses_one_of(7), loses_one_of(11)).unwrap();
    let target = path.addr().to_string();
    let paths: Vec<String> = files.iter().map(|file| directory.path(file)).collect();
    let mut all = vec!["ping", &target];
    all.extend_from_slice(args);
    for path in &paths {
        all.extend(["--plot", path]);
    }
    run(HII, &all)
}

#[test]
fn the_three_forms_show_the_run_that_was_measured() {
    let directory = Directory::new("forms");
    let files = ["a.html", "a.png", "a.svg"];
    let args = ["-n", "120", "-i", "0.02", "--json"];
    let ended = ping(&directory, &files, &args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(directory.names(), files);
    let document = ended.json();

    let svg = fs::read_to_string(directory.path("a.svg")).unwrap();
    assert!(svg.contains("<svg") && svg.trim_end().ends_with("</svg>"));
    for text in ["throughput", "mean delay", "lost there", "lost back"] {
        assert!(svg.contains(text), "{text}");
    }
    let png = fs::read(directory.path("a.png")).unwrap();
    assert_is_drawn(&png);

    let page = page_data(&fs::read_to_string(directory.path("a.html")).unwrap());
    let probes = document["probes"].as_array().unwrap();
    let start = probes[0]["sent_ns"].as_u64().unwrap();
    let since = |probe: &Value| probe["sent_ns"].as_u64().unwrap() - start;
    let dots = page["dots"].as_array().unwrap();
    assert_eq!(dots.len(), probes.len());
    for (dot, probe) in dots.iter().zip(probes) {
        assert_eq!(dot[0], probe["seq"]);
        let at = dot[1].as_f64().unwrap() - since(probe) as f64 / 1e9;
        assert!(at.abs() < 1e-6, "{dot} {probe}");
        let rtt = dot[2].as_f64().map(|millis| (millis * 1e6).round());
        assert_eq!(rtt, probe["rtt_ns"].as_f64(), "{dot} {probe}");
        let unknown = probe["verdict"] == "lost-unknown";
        let verdict = if unknown {
            &json!("lost")
        } else {
            &probe["verdict"]
        };
        assert_eq!(&dot[3], verdict);
    }
    assert!(page["seconds"].as_array().unwrap().len() >= 3, "{page}");
    assert_seconds_are_those_of(&document, &page);
}

/// Checks the figures of each second that a page shows against the other output, by the original's definition.
fn assert_seconds_are_those_of(document: &Value, page: &Value) {
    let probes = document["probes"].as_array().unwrap();
    let start = count(&probes[0]["sent_ns"]);
    // A probe sent at `t` belongs to second `ceil(t)`, or `t + 1` where `t` is whole.
    let second_of = |probe: &Value| {
        let since = count(&probe["sent_ns"]) - start;
        since.div_ceil(1_000_000_000) + u64::from(since.is_multiple_of(1_000_000_000))
    };
    let size = document["size"].as_f64().unwrap();
    let seconds = page["seconds"].as_array().unwrap();
    assert_eq!(
        Some(seconds.len() as u64),
        probes.iter().map(second_of).max()
    );
    for (row, second) in seconds.iter().zip(1..) {
        assert_eq!((count(&row["second"]), count(&row["covers"])), (second, 1));
        let rtts: Vec<f64> = probes
            .iter()
            .filter(|probe| second_of(probe) == second)
            .filter(|probe| probe["verdict"] == "in-time")
            .map(|probe| probe["rtt_ns"].as_f64().unwrap())
            .collect();
        let throughput = rtts.len() as f64 * size * 8.0 * 2.0;
        assert!((row["throughput"].as_f64().unwrap() - throughput).abs() < 1e-6);
        let delay = rtts.iter().sum::<f64>() / rtts.len().max(1) as f64;
        assert!((row["delay_ns"].as_f64().unwrap() - delay).abs() < 1.0);
    }
}

#[test]
fn a_ramp_is_drawn_second_by_second_as_the_original_counts() {
    let directory = Directory::new("ramp");
    // Over three seconds, and an interval that most answers come within at first and few at last.
    let args = ["-n", "100", "-i", "0.1", "--decay", "0.97", "-s", "200"];
    let ended = ping(&directory, &["a.html"], &[&args[..], &["--json"]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let document = ended.json();
    let page = page_data(&fs::read_to_string(directory.path("a.html")).unwrap());
    let seconds = page["seconds"].as_array().unwrap();
    assert!(seconds.len() >= 3, "{seconds:?}");
    assert_seconds_are_those_of(&document, &page);
    // Late answers are shown, and are no throughput.
    let answered = count(&document["summary"]["answered"]);
    let in_time = count(&document["summary"]["in_time"]);
    assert!(in_time < answered, "{}", document["summary"]);
    let counted = seconds
        .iter()
        .map(|row| row["throughput"].as_f64().unwrap());
    let octets = counted.sum::<f64>() / 8.0 / 2.0;
    assert!((octets - in_time as f64 * 200.0).abs() < 1e-6);
    // There is no one time after which all are late.
    assert_eq!(page["deadline"], Value::Null);
}

#[test]
fn a_flood_is_drawn() {
    let directory = Directory::new("flood");
    let server = server(&[]);
    let address = server.address().to_string();
    let [svg, png, html] = ["a.svg", "a.png", "a.html"].map(|name| directory.path(name));
    let flood = [
        "ping", &address, "--flood", "-n", "5000", "-q", "-W", "60s", "--json",
    ];
    let files = ["--plot", &svg, "--plot", &png, "--plot", &html];
    let ended = run(HII, &[&flood[..], &files].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let summary = &ended.json()["summary"];
    assert!(count(&summary["answered"]) > 0, "{summary}");
    let svg = fs::read_to_string(svg).unwrap();
    assert!(svg.contains("<svg") && svg.trim_end().ends_with("</svg>"));
    for text in ["throughput", "mean delay", "as fast as they are answered"] {
        assert!(svg.contains(text), "{text}");
    }
    assert_is_drawn(&fs::read(png).unwrap());
    // Probes that have no slots have no deadline: all that were answered are throughput.
    let page = page_data(&fs::read_to_string(html).unwrap());
    let seconds = page["seconds"].as_array().unwrap();
    let counted = seconds
        .iter()
        .map(|row| row["throughput"].as_f64().unwrap());
    let answered = counted.sum::<f64>() / (128.0 * 8.0 * 2.0);
    assert!((answered - summary["answered"].as_f64().unwrap()).abs() < 1e-6);
}

/// Checks that a picture can be decoded to its end, and that it is not of one colour.
fn assert_is_drawn(file: &[u8]) {
    let mut reader = png::Decoder::new(Cursor::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    reader.finish().unwrap();
    assert_eq!(
        (info.color_type, info.buffer_size()),
        (png::ColorType::Rgb, pixels.len())
    );
    let colours: HashSet<_> = pixels.chunks(3).collect();
    assert!(colours.len() > 4, "{colours:?}");
}

#[test]
fn rejects_a_path_that_cannot_be_written_before_the_first_probe() {
    let directory = Directory::new("refused");
    fs::create_dir(directory.path("taken.svg")).unwrap();
    let target = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = target.local_addr().unwrap().to_string();
    for (file, advice) in [
        ("missing/a.png", "make its directory first"),
        ("taken.svg", "give the name of a file in it"),
    ] {
        let fine = directory.path("fine.html");
        let bad = directory.path(file);
        let ended = run(HII, &["ping", &address, "--plot", &fine, "--plot", &bad]);
        assert_eq!(ended.code, Some(7), "{ended:?}");
        assert!(
            ended.stderr.contains("cannot write the picture"),
            "{ended:?}"
        );
        assert!(ended.stderr.contains(advice), "{ended:?}");
        assert_eq!(ended.stdout, "");
    }
    assert_eq!(directory.names(), ["taken.svg"]);
    target.set_nonblocking(true).unwrap();
    assert!(target.recv(&mut [0; 100]).is_err(), "nothing was asked");
}

#[test]
fn rejects_other_endings_as_wrong_usage() {
    for file in ["a.jpg", "svg", "a.svg.gz", "a.html/"] {
        let ended = run(HII, &["ping", "127.0.0.1", "--plot", file]);
        assert_eq!(ended.code, Some(2), "{file}: {ended:?}");
        assert!(ended.stderr.contains(".svg, .png or .html"), "{ended:?}");
    }
}

#[test]
fn a_full_disk_leaves_the_summary_and_the_other_picture() {
    let directory = Directory::new("full");
    std::os::unix::fs::symlink("/dev/full", directory.path("full.svg")).unwrap();
    let ended = ping(
        &directory,
        &["full.svg", "fine.png"],
        &["-n", "5", "-i", "0.01"],
    );
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert!(ended.stdout.contains("5 sent, "), "{ended:?}");
    assert!(ended.stderr.contains("free some space"), "{ended:?}");
    assert_eq!(directory.names(), ["fine.png", "full.svg"]);
}

#[test]
fn an_old_picture_stays_until_the_new_one_is_complete() {
    let directory = Directory::new("old");
    let file = directory.path("a.svg");
    fs::write(&file, "old").unwrap();
    let server = server(&[]);
    let address = server.address().to_string();
    let mut child = start(
        HII,
        &[
            "ping", &address, "-n", "1000000", "-i", "0.01", "--plot", &file,
        ],
    );
    let mut stdout = output(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("seq 3: ") {
        std::io::BufRead::read_line(&mut stdout, &mut text).unwrap();
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "old");
    programs::signal(child.id(), Signal::SIGINT);
    std::io::Read::read_to_string(&mut stdout, &mut text).unwrap();
    let ended = finish(child);
    // An interrupted run is drawn as far as it went.
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(fs::read_to_string(&file).unwrap().contains("<svg"));
    assert_eq!(directory.names(), ["a.svg"]);
}

#[test]
fn what_a_server_says_is_text_in_every_form() {
    let directory = Directory::new("hostile");
    let hostile = UdpSocket::bind("127.0.0.1:0").unwrap();
    hostile
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let address = hostile.local_addr().unwrap().to_string();
    let answering = std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((_, from)) = hostile.recv_from(&mut buffer) {
            let text = b"<!--</script><script>alert('&')</script>\x1b[2J\xff";
            hostile.send_to(text, from).unwrap();
        }
    });
    let [svg, html] = ["a.svg", "a.html"].map(|name| directory.path(name));
    let args = ["-n", "3", "-i", "0.05", "--plot", &svg, "--plot", &html];
    let ended = run(HII, &[&["ping", &address], &args[..]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    answering.join().unwrap();
    let page = fs::read_to_string(&html).unwrap();
    assert_eq!(page.matches("<script").count(), 2);
    assert!(
        page_data(&page)["title"]
            .as_str()
            .unwrap()
            .contains("<script>alert(")
    );
    assert!(page.contains("&lt;script&gt;alert("));
    let svg = fs::read_to_string(&svg).unwrap();
    assert!(svg.contains("&lt;script&gt;alert(") && !svg.contains("<script"));
    for text in [page, svg] {
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
    }
}
