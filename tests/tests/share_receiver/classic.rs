//! The original hand-over.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use hii_tests::programs::{Ended, Server, run};
use hii_tests::scratch::Directory;

use super::{HII, HII_SERVER, octets};

/// A server that says these octets, piece by piece, to a client that has said the original key.
fn server(pieces: Vec<Vec<u8>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut key = [0; 10];
        stream.read_exact(&mut key).unwrap();
        assert_eq!(&key, b"SECRET_KEY");
        stream.set_nodelay(true).unwrap();
        for piece in pieces {
            stream.write_all(&piece).unwrap();
        }
    });
    address
}

fn get(address: SocketAddr, args: &[&str]) -> Ended {
    run(
        HII,
        &[&["get", "--classic", &address.to_string()], args].concat(),
    )
}

#[test]
fn what_follows_the_answer_is_the_file_in_whatever_pieces_it_comes() {
    let content = octets(300_000);
    let whole = [b"AUTH_SUCCESS", &content[..]].concat();
    let (start, rest) = whole.split_at(9);
    for (number, pieces) in [
        vec![whole.clone()],
        vec![start.to_vec(), rest.to_vec()],
        whole[..40]
            .chunks(1)
            .chain([&whole[40..]])
            .map(<[u8]>::to_vec)
            .collect(),
    ]
    .into_iter()
    .enumerate()
    {
        let directory = Directory::new(&format!("get-classic-{number}"));
        let file = directory.path("file");
        let ended = get(server(pieces), &["-o", &file]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(fs::read(&file).unwrap() == content);
        assert_eq!(directory.names(), ["file"]);
        assert!(ended.stderr.contains("cannot be told"), "{ended:?}");
    }
}

#[test]
fn into_a_folder_it_has_the_name_that_the_original_gives_it() {
    let directory = Directory::new("get-classic-name");
    let folder = directory.path("");
    let args = ["-o", folder.as_str()];
    let ended = get(server(vec![b"AUTH_SUCCESS".to_vec()]), &args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(directory.names(), ["RECIEVED_FILE.txt"]);
    let ended = get(server(vec![b"AUTH_SUCCESSx".to_vec()]), &args);
    assert_eq!(ended.code, Some(7), "{ended:?}");
    let file = directory.path("RECIEVED_FILE.txt");
    assert_eq!(fs::read(&file).unwrap(), b"");
    let args = ["-o", &file, "--on-exists", "rename", "--json"];
    let ended = get(server(vec![b"AUTH_SUCCESSx".to_vec()]), &args);
    let name = directory.path("RECIEVED_FILE (1).txt");
    assert_eq!(ended.json()["destination"], name.as_str());
    assert_eq!(fs::read(name).unwrap(), b"x");
}

#[test]
fn another_key_another_server_and_another_host_are_told_apart() {
    let directory = Directory::new("get-classic-refused");
    let file = directory.path("file");
    for (said, code) in [("AUTH_ERROR", 4), ("HTTP/1.1 400", 5), ("AUTH", 3), ("", 3)] {
        let ended = get(server(vec![said.into()]), &["-o", &file]);
        assert_eq!(ended.code, Some(code), "{said} {ended:?}");
    }
    let elsewhere = "192.0.2.1:8082".parse().unwrap();
    let ended = get(elsewhere, &["-o", &file]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.stderr.contains("plain text"), "{ended:?}");
    assert_eq!(directory.names(), [""; 0]);
}

#[test]
fn a_sender_of_the_other_kind_is_told_and_never_fallen_back_to() {
    let directory = Directory::new("get-classic-mixed");
    fs::write(directory.path("offered"), "octets").unwrap();
    let (offered, file) = (directory.path("offered"), directory.path("file"));
    let classic = Server::start(HII_SERVER, &["share", "--classic", "--stay", &offered]);
    let ended = get(classic.address(), &["-o", &file]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(fs::read(&file).unwrap(), b"octets");
    fs::remove_file(&file).unwrap();

    fs::write(directory.path("key"), hii_tests::sender::KEY).unwrap();
    let key = directory.path("key");
    let args = [
        "get",
        &classic.address().to_string(),
        "--key-file",
        &key,
        "-o",
        &file,
    ];
    let ended = run(HII, &args);
    assert!(matches!(ended.code, Some(3 | 5)), "{ended:?}");
    let modern = Server::start(
        HII_SERVER,
        &["share", "--key-file", &key, "-b", "127.0.0.1", &offered],
    );
    let ended = get(modern.address(), &["-o", &file]);
    assert!(matches!(ended.code, Some(3 | 5)), "{ended:?}");
    assert_eq!(directory.names(), ["key", "offered"]);
}
