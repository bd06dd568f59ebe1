//! The names of the transfer service.

mod support;

use support::Server;
use support::file_service::FileService::Transfer;

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
