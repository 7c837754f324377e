//! Effects of this host on a measurement: an address that is removed, and a name with one dead address of two.

use hii_tests::namespace;
use hii_tests::programs::count;
use hii_tests::scratch::Directory;

use super::{HII, HII_SERVER};

#[test]
#[ignore = "needs network namespaces"]
fn what_this_host_cannot_send_is_told_apart_from_what_is_lost() {
    let directory = Directory::new("not-sent");
    let script = r#"
        "$HII" ping "$address" -n 40 -i 20ms | while read -r line; do
            echo "$line"
            case $line in "seq 5: "*) ip addr del 127.0.0.1/8 dev lo ;; esac
        done
    "#;
    let programs = [HII, HII_SERVER];
    let Some(ended) = namespace::shell_beside_server(programs, &directory.path(""), script) else {
        return;
    };
    let lines = ended.stdout.lines();
    let not_sent = lines
        .filter(|line| line.ends_with(": not sent, this host would not take it"))
        .count();
    assert!((1..=35).contains(&not_sent), "{ended:?}");
    let sent = 40 - not_sent;
    let told = format!("not sent, since this host would not take them: {not_sent}\n");
    assert!(ended.stdout.contains(&told), "{ended:?}");
    assert!(
        ended.stdout.contains(&format!("\n{sent} sent, ")),
        "{ended:?}"
    );
}

#[test]
#[ignore = "needs network namespaces"]
fn a_name_is_measured_at_the_second_of_its_addresses_when_nothing_listens_at_the_first() {
    let directory = Directory::new("dead-address");
    let script = r#"
        printf '::1 two\n127.0.0.1 two\n' > "$DIRECTORY/hosts"
        mount --bind "$DIRECTORY/hosts" /etc/hosts
        "$HII" ping "tcp://two:${address##*:}" -n 3 -i 1ms --json
    "#;
    let programs = [HII, HII_SERVER];
    let Some(ended) = namespace::shell_beside_server(programs, &directory.path(""), script) else {
        return;
    };
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let document = ended.json();
    let summary = &document["summary"];
    assert_eq!(
        (count(&summary["sent"]), count(&summary["answered"])),
        (3, 3)
    );
    assert!(count(&document["tcp"]["resolution_ns"]) > 0, "{document}");
    let address = document["address"].as_str().unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
}
