//! A shell with a network and mounts of its own, for what a test cannot do to the machine that it runs on.

use std::process::{Command, Stdio};

use crate::programs::{Ended, finish};
use crate::world;

/// Everything of its own, and the shell is root there; whatever it started ends with it.
const UNSHARE: [&str; 7] = [
    "--user",
    "--map-root-user",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
];

/// Runs a script in namespaces of its own, with these variables and the loopback interface up; `None`
/// where this machine does not let it, after [`world::skip`].
///
/// # Panics
/// It hangs, or must not be skipped.
#[must_use]
pub fn shell(script: &str, variables: &[(&str, &str)]) -> Option<Ended> {
    let run = |script: &str| {
        Command::new("unshare")
            .args(UNSHARE)
            .args(["sh", "-ec", script])
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .ok()
    };
    let prepare = "ip link set lo up";
    let allowed = run(prepare).map(finish);
    if allowed.is_none_or(|ended| ended.code != Some(0)) {
        world::skip("this machine allows no namespaces, or has no `ip`");
        return None;
    }
    run(&format!("{prepare}\n{script}")).map(finish)
}

/// The same beside a ping server there: `hii` is `$HII` in the script, the server's address `$address`, and what it needs goes to
/// `$DIRECTORY`.
///
/// # Panics
/// It hangs.
#[must_use]
pub fn shell_beside_server(
    [hii, hii_server]: [&str; 2],
    directory: &str,
    script: &str,
) -> Option<Ended> {
    let serve = r#"
        "$HII_SERVER" ping -b 127.0.0.1 -p 0 2> "$DIRECTORY/server" &
        until address=$(grep -om1 '127\.0\.0\.1:[0-9]*' "$DIRECTORY/server"); do sleep 0.05; done
    "#;
    let variables = [
        ("HII", hii),
        ("HII_SERVER", hii_server),
        ("DIRECTORY", directory),
    ];
    shell(&format!("{serve}\n{script}"), &variables)
}
