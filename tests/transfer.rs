//! Names mean what they say to the transfer service, and what is short or missing is refused.

mod support;

use support::file_service::FileService::Transfer;
use support::{Server, noise};

#[test]
fn a_missing_file_ends_a_bare_conversation() {
    let server = Server::start(&[]);
    let mut client = server.connect("transfer");
    client.send("RECEIVE").expect("OK").send("nothing");
    assert_eq!(client.rest(), b"ERROR: File not found");
}

#[test]
fn a_name_is_its_last_component_with_all_that_is_in_it() {
    let server = Server::start(&[]);
    let names = ["/etc/cron.d/one", "../../two", "C:/Users/me/three"];
    let odd = [
        "a b",
        " a ",
        "\"a\"",
        "it's",
        "a<SEPARATOR>b",
        "séance 日本.txt",
        "a 12",
    ];
    for name in names.into_iter().chain(odd) {
        let leaf = name.rsplit('/').next().expect("a name");
        let mut client = server.connect("transfer");
        client
            .send(Transfer.upload(name, b"abc"))
            .expect("OK\nOK 3\n");
        assert_eq!(server.got(leaf), b"abc");
        client.send(Transfer.download(name));
        client.expect(format!("OK\n{leaf}<SEPARATOR>3\nabc"));
    }
    assert_eq!(server.contents().len(), names.len() + odd.len());
}

#[test]
fn a_short_bare_upload_is_refused_and_leaves_the_old_file() {
    let server = Server::start(&[]);
    server.put("x", "old");
    let mut bare = server.connect("transfer");
    bare.send("SEND").expect("OK").send("xx<SEPARATOR>1000000");
    let why = "ERROR: the size does not fit what came; nothing is stored";
    assert_eq!(bare.send(noise(700_000)).finish().text(), why);
    assert_eq!(server.contents(), [b"old"]);
}
