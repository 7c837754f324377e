//! The page that `hii ping --plot` writes, in a real browser.

use std::fs;

use hii_tests::browser;
use hii_tests::path::{Path, loses_one_of};
use hii_tests::programs::{Server, run};
use hii_tests::scratch::{Directory, page_data};
use serde_json::{Value, json};

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

/// A page about a run with losses both ways.
fn page(directory: &Directory) -> String {
    let server = Server::start(
        HII_SERVER,
        &["ping", "-b", "127.0.0.1", "--delay", "0..30ms", "--json"],
    );
    let path = Path::new(server.address(), loses_one_of(7), loses_one_of(11)).unwrap();
    let target = path.addr().to_string();
    let file = directory.path("a.html");
    let args = ["ping", &target, "-n", "120", "-i", "0.02", "--plot", &file];
    let ended = run(HII, &args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    fs::read_to_string(file).unwrap()
}

/// Added to a page in a frame: tells what came of it, with the pointer over a panel.
const PROBE: &str = "<script>
const canvases = [...document.querySelectorAll('canvas')];
const inked = canvases.map(canvas => {
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  return pixels.filter((value, index) => index % 4 === 3 && value > 100).length;
});
const box = canvases[1].getBoundingClientRect();
const at = { clientX: box.left + box.width / 2, clientY: box.top + 40, bubbles: true };
canvases[1].dispatchEvent(new PointerEvent('pointermove', at));
document.getElementById('table').open = true;
setTimeout(() => {
  const found = {
    inked, tip: document.getElementById('tip').textContent, hidden: document.getElementById('tip').hidden,
    width: innerWidth, needs: document.documentElement.scrollWidth,
    columns: getComputedStyle(canvases[0].parentElement).width === getComputedStyle(canvases[2].parentElement).width ? 1 : 2,
    back: getComputedStyle(document.body).backgroundColor,
    text: document.body.innerText,
    rows: document.querySelectorAll('#table tr').length,
    fetched: performance.getEntriesByType('resource').map(entry => entry.name),
  };
  parent.document.body.dataset.found = encodeURIComponent(JSON.stringify(found));
});
</script>";

/// Undoes `encodeURIComponent`.
fn decoded(text: &str) -> Value {
    let mut octets = Vec::new();
    let mut parts = text.split('%');
    octets.extend(parts.next().unwrap().bytes());
    for part in parts {
        octets.push(u8::from_str_radix(&part[..2], 16).unwrap());
        octets.extend(part[2..].bytes());
    }
    serde_json::from_slice(&octets).unwrap()
}

#[test]
fn the_page_works_in_a_real_browser() {
    if !browser::is_wanted() {
        eprintln!("skipped: needs chromium; set HII_CHROMIUM=1 to run it");
        return;
    }
    let directory = Directory::new("browser");
    let page = page(&directory);
    let probed = page.replace("</body>", &format!("{PROBE}</body>"));
    let attribute = probed.replace('&', "&amp;").replace('"', "&quot;");
    for (width, dark, columns, back) in [
        (1200_u32, false, 2, "rgb(255, 255, 255)"),
        (390, true, 1, "rgb(20, 22, 26)"),
    ] {
        // No window is as narrow as a phone, but a frame is.
        let style = format!("width: {width}px; height: 800px; border: 0");
        let framed = directory.path("framed.html");
        let document = format!(
            "<!DOCTYPE html><meta name=color-scheme content='light dark'>\
             <body><iframe style='{style}' srcdoc=\"{attribute}\"></iframe>"
        );
        fs::write(&framed, document).unwrap();
        let ended = browser::open(framed.as_ref(), dark);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        // Scripts' errors, failed requests, and what the page's own policy refused.
        assert!(!ended.stderr.contains("CONSOLE"), "{}", ended.stderr);
        let (_, found) = ended
            .stdout
            .split_once("data-found=\"")
            .expect("the probe ran");
        let found = decoded(found.split_once('"').unwrap().0);
        assert_eq!(found["width"], width, "{found}");
        let needs = found["needs"].as_u64().unwrap();
        assert!(needs <= u64::from(width), "nothing is cut off: {found}");
        assert_eq!(found["columns"], columns, "{found}");
        assert_eq!(found["back"], back, "{found}");
        assert_eq!(found["fetched"], json!([]), "{found}");
        let inked = found["inked"].as_array().unwrap();
        assert_eq!(inked.len(), 4, "{found}");
        assert!(
            inked.iter().all(|pixels| pixels.as_u64() > Some(500)),
            "{found}"
        );
        assert_eq!(found["hidden"], false, "{found}");
        let tip = found["tip"].as_str().unwrap();
        assert!(tip.starts_with("second ") && tip.ends_with(" ms"), "{tip}");
        let seconds = page_data(&page)["seconds"].as_array().unwrap().len();
        assert_eq!(found["rows"], 1 + seconds, "{found}");
        let text = found["text"].as_str().unwrap();
        for part in ["120 sent, ", "lost there", "lost back", "mean delay"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
