//! `hii ping --live` in a real terminal: what is on the screen, and that all is as it was afterwards.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use hii_tests::path::{Fate, Judge, Path};
use hii_tests::programs::{self, Server, finish, run};
use hii_tests::scratch::Directory;
use hii_tests::terminal::{self, Terminal};
use nix::fcntl::OFlag;
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");
/// Guards against a program that hangs; no test depends on how long it is.
const WATCHDOG: Duration = Duration::from_secs(120);

/// Room for a summary below what stood there before.
const SIZE: (u16, u16) = (100, 40);

const LIVE_PANICS: &str = env!("CARGO_BIN_EXE_live-panics");

/// A server, and a path to it that loses some there, some back, and delays others.
fn lossy() -> (Server, Path) {
    let server = Server::start(HII_SERVER, &["ping", "-b", "127.0.0.1", "--json"]);
    let there: Judge = Box::new(|index, _| match index % 7 {
        3 => Fate::Drop,
        _ => Fate::Pass,
    });
    let back: Judge = Box::new(|index, _| match index % 11 {
        3 => Fate::Drop,
        5 => Fate::Delay(Duration::from_millis(150)),
        _ => Fate::Pass,
    });
    let path = Path::new(server.address(), there, back).unwrap();
    (server, path)
}

/// A path that tells what has gone there.
fn watched(server: &Server) -> (Path, Receiver<Vec<u8>>) {
    let (tell, told) = channel();
    let there: Judge = Box::new(move |_, octets| {
        let _ = tell.send(octets.to_vec());
        Fate::Pass
    });
    let back: Judge = Box::new(|_, _| Fate::Pass);
    (Path::new(server.address(), there, back).unwrap(), told)
}

/// Waits until so many datagrams have gone there that are like this.
fn wait_for(told: &Receiver<Vec<u8>>, mut count: u32, is_one: impl Fn(&[u8]) -> bool) {
    while count > 0 {
        let octets = told.recv_timeout(WATCHDOG).expect("a datagram");
        count -= u32::from(is_one(&octets));
    }
}

/// Whether to go on; says so if not.
fn has_terminal() -> bool {
    let is_wanted = terminal::is_wanted();
    if !is_wanted {
        eprintln!("skipped: needs tmux; set HII_TMUX=1 to run it");
    }
    is_wanted
}

/// A terminal in which something stands already, and its settings are known.
fn terminal(directory: &Directory, variables: &[(&str, &str)]) -> Terminal {
    let terminal = Terminal::new(SIZE, variables);
    terminal.line(&format!(
        "stty -a > {}; echo stood before",
        directory.path("before")
    ));
    terminal.wait_for("line", |screen| screen.contains("\nstood before"));
    terminal
}

/// Checks that the program has ended with this code, and that the terminal is as it was before.
fn assert_restored(terminal: &Terminal, directory: &Directory, code: u8) -> String {
    let ended = |screen: &str| {
        let mut lines = screen.lines();
        lines.find_map(|line| line.strip_prefix("code=")?.parse().ok())
    };
    let screen = terminal.wait_for("end", |screen| ended(screen).is_some());
    assert_eq!(ended(&screen), Some(code), "{screen}");
    assert_eq!(terminal.modes(), (false, true), "{screen}");
    assert!(screen.contains("\nstood before"), "{screen}");
    assert!(!screen.contains("q stops"), "{screen}");
    assert_settings_kept(terminal, directory);
    screen
}

/// Checks that the terminal's settings are what they were before.
fn assert_settings_kept(terminal: &Terminal, directory: &Directory) {
    let [before, after] = ["before", "after"].map(|name| directory.path(name));
    terminal.line(&format!("stty -a > {after}; echo checked"));
    terminal.wait_for("settings", |screen| screen.contains("\nchecked"));
    let [before, after] = [before, after].map(|path| fs::read_to_string(path).unwrap());
    assert_eq!(before, after);
}

/// Starts a run in the terminal and waits until it is drawn.
fn start(terminal: &Terminal, target: &str, args: &str) -> String {
    terminal.line(&format!("{HII} ping {target} {args} --live; echo code=$?"));
    let screen = terminal.wait_for("chart", |screen| screen.contains("q stops"));
    assert_eq!(terminal.modes(), (true, false), "{screen}");
    screen
}

#[test]
fn the_chart_shows_what_becomes_of_probes_at_any_size() {
    if !has_terminal() {
        return;
    }
    let directory = Directory::new("live");
    let (_server, path) = lossy();
    let terminal = terminal(&directory, &[]);
    let target = path.addr().to_string();
    let screen = start(&terminal, &target, "-n 0 -i 0.05");
    let title = format!("hii ping {target} ({target}, Hii server)");
    assert!(screen.starts_with(&title), "{screen}");
    assert!(!screen.contains("stood before"), "{screen}");
    // A frame may be caught half drawn.
    let is_whole = |screen: &str| screen.trim_end().ends_with("q stops");
    // Dots, circles, and strokes in the row of each fate.
    let is_braille = |c| ('\u{2801}'..='\u{28ff}').contains(&c);
    let has_lane = |screen: &str, name| {
        let mut lines = screen.lines();
        lines.any(|line| line.trim_start().starts_with(name) && line.contains('│'))
    };
    let has_all = |screen: &str| {
        let mut chart = screen.lines().filter(|line| line.contains(['│', '┤']));
        let dots = chart.clone().any(|line| line.contains(is_braille));
        let late = chart.any(|line| line.contains('○'));
        dots && late && has_lane(screen, "lost there") && has_lane(screen, "lost back")
    };
    let screen = terminal.wait_for("every mark", has_all);
    let figures = [
        "sent ",
        "answered ",
        "RTT min ",
        "p99 ",
        "jitter ",
        "answers/s ",
    ];
    for text in figures.iter().chain(&[" ms ┤", "now", " elapsed"]) {
        assert!(screen.contains(text), "{text}: {screen}");
    }

    terminal.resize((30, 8));
    terminal.wait_for("a small chart", |screen| {
        let lines: Vec<_> = screen.lines().collect();
        lines.len() == 8 && lines[6].contains("median") && lines[7].contains(" elapsed")
    });
    terminal.resize((7, 2));
    terminal.wait_for("hardly anything", |screen| {
        screen.lines().count() == 2 && screen.lines().all(|line| line.chars().count() <= 7)
    });
    terminal.resize((140, 50));
    terminal.wait_for("a large chart", |screen| {
        screen.lines().count() == 50
            && screen.starts_with(&title)
            && is_whole(screen)
            && has_all(screen)
    });
    terminal.resize(SIZE);
    terminal.wait_for("the first chart", |screen| {
        screen.lines().count() == 40 && is_whole(screen)
    });
    terminal.key("q");
    assert_restored(&terminal, &directory, 130);
}

#[test]
fn a_run_that_is_through_leaves_its_summary() {
    if !has_terminal() {
        return;
    }
    let directory = Directory::new("live-end");
    let server = Server::start(HII_SERVER, &["ping", "-b", "127.0.0.1", "--json"]);
    let target = server.address();
    let terminal = terminal(&directory, &[]);
    let command = format!("{HII} ping {target} -n 30 -i 0.05 --live; echo code=$?");
    terminal.line(&command);
    let screen = assert_restored(&terminal, &directory, 0);
    for text in ["\n30 sent, 30 answered (", "\nRTT of 30 answers: min "] {
        assert!(screen.contains(text), "{screen}");
    }
}

#[test]
fn every_way_to_stop_restores_the_terminal() {
    if !has_terminal() {
        return;
    }
    let directory = Directory::new("live-stop");
    let server = Server::start(HII_SERVER, &["ping", "-b", "127.0.0.1", "--json"]);
    let target = server.address().to_string();
    let kill = "kill -TERM $(cat pid)";
    for key in ["q", "Escape", "C-c", kill] {
        let terminal = terminal(&directory, &[]);
        if key == kill {
            let pid = directory.path("pid");
            terminal.line(&format!(
                "sh -c 'echo $$ > {pid}; exec {HII} ping {target} -n 0 --live'; echo code=$?"
            ));
            terminal.wait_for("chart", |screen| screen.contains("q stops"));
            let pid = fs::read_to_string(pid).unwrap();
            programs::signal(pid.trim().parse().unwrap(), Signal::SIGTERM);
        } else {
            start(&terminal, &target, "-n 0");
            terminal.key(key);
        }
        let screen = assert_restored(&terminal, &directory, 130);
        assert!(screen.contains(" sent, "), "{key}: {screen}");
    }
}

#[test]
fn a_run_can_be_suspended() {
    if !has_terminal() {
        return;
    }
    let directory = Directory::new("live-suspend");
    let server = Server::start(HII_SERVER, &["ping", "-b", "127.0.0.1", "--json"]);
    let terminal = terminal(&directory, &[]);
    start(&terminal, &server.address().to_string(), "-n 0 -i 0.1");
    terminal.key("C-z");
    let screen = terminal.wait_for("prompt", |screen| screen.contains("Stopped"));
    assert!(screen.contains("\nstood before"), "{screen}");
    assert_eq!(terminal.modes(), (false, true), "{screen}");
    assert_settings_kept(&terminal, &directory);
    terminal.line("fg");
    let screen = terminal.wait_for("chart", |screen| screen.contains("q stops"));
    assert!(!screen.contains("stood before"), "{screen}");
    terminal.key("q");
    let end = terminal.wait_for("summary", |screen| screen.contains(" sent, "));
    assert_eq!(terminal.modes(), (false, true), "{end}");
}

#[test]
fn a_panic_is_shown_on_the_screen_that_was_there_before() {
    if !has_terminal() {
        return;
    }
    let directory = Directory::new("live-panic");
    let fifo = directory.path("fifo");
    mkfifo(fifo.as_str(), Mode::S_IRWXU).unwrap();
    let terminal = terminal(&directory, &[]);
    terminal.line(&format!("{LIVE_PANICS} {fifo}; echo code=$?"));
    terminal.wait_for("chart", |screen| screen.contains("q stops"));
    fs::write(fifo, "on purpose").unwrap();
    let screen = assert_restored(&terminal, &directory, 101);
    assert!(screen.contains("on purpose"), "{screen}");
}

#[test]
fn messages_wait_for_the_end() {
    if !has_terminal() {
        return;
    }
    let directory = Directory::new("live-notes");
    let server = Server::start(HII_SERVER, &["ping", "-b", "127.0.0.1", "--json"]);
    let deaf: Judge = Box::new(|_, octets| match octets {
        b"exit" => Fate::Drop,
        _ => Fate::Pass,
    });
    let back: Judge = Box::new(|_, _| Fate::Pass);
    let path = Path::new(server.address(), deaf, back).unwrap();
    let terminal = terminal(&directory, &[]);
    let target = path.addr();
    let command = format!("{HII} ping {target} -n 3 -i 0.1 --stop --live; echo code=$?");
    terminal.line(&command);
    let screen = assert_restored(&terminal, &directory, 0);
    let note = screen.find("did not answer `exit`").expect(&screen);
    let summary = screen.find("3 sent, 3 answered").expect(&screen);
    assert!(note < summary, "{screen}");
}

#[test]
fn colours_are_left_out_when_they_are_not_wanted() {
    if !has_terminal() {
        return;
    }
    let directory = Directory::new("live-colours");
    let (_server, path) = lossy();
    let target = path.addr().to_string();
    for (variables, has_colours) in [(&[][..], true), (&[("NO_COLOR", "1")][..], false)] {
        let terminal = terminal(&directory, variables);
        start(&terminal, &target, "-n 0 -i 0.05");
        terminal.wait_for("a late answer", |screen| {
            screen
                .lines()
                .any(|line| line.contains('│') && line.contains('○') && !line.contains("stops"))
        });
        let styled = terminal.styled_screen();
        // Yellow, light blue, any.
        let found = ["[38;5;3m", "[38;5;12m", "[38;"].map(|colour| styled.contains(colour));
        assert_eq!(found, [has_colours; 3], "{styled}");
        terminal.key("q");
        assert_restored(&terminal, &directory, 130);
    }
}

#[test]
fn without_a_terminal_nothing_is_sent() {
    let server = Server::start(HII_SERVER, &["ping", "-b", "127.0.0.1", "--json"]);
    let (path, told) = watched(&server);
    let ended = run(HII, &["ping", &path.addr().to_string(), "--live"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!(ended.stdout, "");
    assert!(
        ended.stderr.starts_with("hii: --live needs a terminal: "),
        "{ended:?}"
    );
    drop(path);
    assert_eq!(told.iter().count(), 0);
    for other in ["--json", "--csv", "--quiet"] {
        let ended = run(HII, &["ping", "127.0.0.1", "--live", other]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("cannot be used with"), "{ended:?}");
    }
}

/// Starts a run in a terminal of which only this end is there; returns it with the program.
fn on_a_pty(target: &str, args: &[&str]) -> (Child, PtyMaster) {
    // Not openpty: other tests start programs at the same time, which are not to inherit it.
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname_r(&master).unwrap();
    let size = ["-F", &name, "rows", "50", "cols", "200"];
    assert!(Command::new("stty").args(size).status().unwrap().success());
    let open = || File::options().read(true).write(true).open(&name).unwrap();
    let child = Command::new(HII)
        .args(["ping", target, "--live"])
        .args(args)
        .env("LC_ALL", "C.UTF-8")
        .env("TERM", "xterm")
        .stdin(open())
        .stdout(open())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    (child, master)
}

#[test]
fn a_terminal_that_takes_nothing_delays_no_probe_and_no_verdict() {
    let server = Server::start(HII_SERVER, &["ping", "-b", "127.0.0.1", "--json"]);
    let (path, told) = watched(&server);
    let target = path.addr().to_string();
    let (child, mut screen) = on_a_pty(&target, &["-n", "400", "-i", "0.01", "--stop"]);
    // Nobody reads what is drawn, which is far more than a terminal holds. Still all is sent and judged: after that the
    // server is asked to stop.
    wait_for(&told, 400, |octets| octets.starts_with(b"P "));
    wait_for(&told, 1, |octets| octets == b"exit");
    let reader = thread::spawn(move || {
        let mut shown = Vec::new();
        // It ends with an error when the program does.
        let _ = screen.read_to_end(&mut shown);
        String::from_utf8(shown).unwrap()
    });
    let ended = finish(child);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let shown = reader.join().unwrap();
    let (_, summary) = shown
        .rsplit_once("\u{1b}[?1049l")
        .expect("its own screen is left");
    assert!(summary.contains("\n400 sent, 400 answered ("), "{summary}");
}

#[test]
fn a_terminal_that_goes_away_ends_the_run() {
    let server = Server::start(HII_SERVER, &["ping", "-b", "127.0.0.1", "--json"]);
    let (path, told) = watched(&server);
    let (child, screen) = on_a_pty(&path.addr().to_string(), &["-n", "0", "-i", "0.01"]);
    wait_for(&told, 20, |octets| octets.starts_with(b"P "));
    drop(screen);
    let ended = finish(child);
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert!(ended.stderr.contains(" sent, "), "{ended:?}");
    assert!(!ended.stderr.contains("cursor"), "{ended:?}");
    assert!(
        ended.stderr.contains("hii: cannot write the output: "),
        "{ended:?}"
    );
}

#[test]
fn a_terminal_that_takes_nothing_can_be_left() {
    let server = Server::start(HII_SERVER, &["ping", "-b", "127.0.0.1", "--json"]);
    let (path, told) = watched(&server);
    let target = path.addr().to_string();
    let (mut child, mut screen) = on_a_pty(&target, &["-n", "0", "-i", "0.01"]);
    // By then its frames wait, since nobody reads them.
    wait_for(&told, 300, |octets| octets.starts_with(b"P "));
    let begin = Instant::now();
    let status = loop {
        // The first ends the run, one a while later the program. Once the terminal is in line mode again, and takes no
        // summary, a Ctrl-C does that, which is a signal then.
        screen.write_all(b"q").unwrap();
        programs::signal(child.id(), Signal::SIGINT);
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => assert!(begin.elapsed() < WATCHDOG, "the program hangs"),
        }
        thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(status.code(), Some(130));
}
