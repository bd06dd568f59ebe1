//! The names of the transfer service, and parts of its files.

use crate::support::file_service::FileService::Transfer;
use crate::support::{BOTH_WAYS, Server, noise};
use loket::wire::text::hex;
use sha2::{Digest, Sha256};

#[test]
fn a_file_is_named_by_the_last_component_of_its_path() {
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
fn a_file_is_sent_from_an_offset_on_and_its_front_has_a_sum() {
    let data = noise(3_000_000);
    for way in BOTH_WAYS {
        let server = Server::start(way);
        std::fs::write(server.root().join("a b"), &data).expect("room");
        let mut client = server.connect("transfer");
        for offset in [0, 1, data.len() - 1, data.len(), data.len() + 1] {
            client.send(format!("RESUME\nsome/a b<SEPARATOR>{offset}\n"));
            client.send(format!("SUM\na b<SEPARATOR>{offset}\n"));
            match data.get(..offset) {
                Some(front) => {
                    let left = data.len() - offset;
                    client.expect(format!("OK\na b<SEPARATOR>{left}\n"));
                    client.expect(&data[offset..]);
                    client.expect(format!("OK\nOK {}\n", hex(&Sha256::digest(front))));
                }
                None => {
                    let why = format!("OK\nERROR: the file has only {} bytes\n", data.len());
                    client.expect(why.repeat(2));
                }
            }
        }
        client.send("RESUME\nnone<SEPARATOR>0\nSUM\nnone<SEPARATOR>0\n");
        client.expect("OK\nERROR: File not found\n".repeat(2));
    }
}
