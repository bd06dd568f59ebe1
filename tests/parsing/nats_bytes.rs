//! The parser of NATS: any cutting of a stream gives the same commands, and no bytes make it panic.

use crate::memory::random::cases;
use loket::wire::nats::url::NatsUrl;
use loket::wire::nats::{NatsLimits, NotNats, ServerCommand, parse, publish};
use proptest::prelude::*;
use proptest::sample::select;

const LIMITS: NatsLimits = NatsLimits {
    line: 64,
    message: 100,
};

/// The commands of a stream that arrives in pieces, as text, and how the stream is broken.
fn commands(pieces: &[&[u8]]) -> (Vec<String>, Option<NotNats>) {
    let (mut found, mut inbox, mut skip) = (Vec::new(), Vec::new(), 0);
    for piece in pieces {
        inbox.extend_from_slice(piece);
        loop {
            let skipped = inbox.len().min(skip);
            inbox.drain(..skipped);
            skip -= skipped;
            match parse(&inbox, &LIMITS) {
                _ if skip > 0 => break,
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
                Ok(Some((command, taken))) => {
                    assert!(0 < taken && taken <= inbox.len());
                    if let ServerCommand::Skip(count) = command {
                        skip = count as usize;
                    }
                    found.push(format!("{command:?}"));
                    inbox.drain(..taken);
                }
            }
        }
    }
    (found, None)
}

/// A whole command, or a broken one.
fn command() -> impl Strategy<Value = Vec<u8>> {
    let received = |headers: &[(&str, &str)], payload: &[u8]| {
        let sent = publish("a.b", None, headers, payload);
        let text = sent.strip_prefix(b"H").unwrap_or(&sent[..]);
        let kind: &[u8] = if sent.starts_with(b"H") {
            b"HMSG"
        } else {
            b"MSG"
        };
        [kind, b" a.b 1 ", &text[b"PUB a.b ".len()..]].concat()
    };
    prop_oneof![
        select(vec![
            "PING\r\n",
            "+OK\r\n",
            "-ERR 'x'\r\n",
            "INFO {}\r\n",
            "MSG a 1 x\r\n",
            "\n"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..160).prop_map(move |text| received(&[], &text)),
        prop::collection::vec(any::<u8>(), 0..90)
            .prop_map(move |text| received(&[("A", "1")], &text)),
        prop::collection::vec(any::<u8>(), 0..8),
    ]
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn any_cutting_of_nats_gives_the_same_commands(
        commands_sent in prop::collection::vec(command(), 1..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let stream = commands_sent.concat();
        let whole = commands(&[&stream]);
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        prop_assert_eq!(&commands(&bytes), &whole);
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        at.extend([0, stream.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|ends| &stream[ends[0]..ends[1]]).collect();
        prop_assert_eq!(&commands(&pieces), &whole);
    }

    #[test]
    fn no_bytes_make_the_parser_of_nats_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        commands(&[&bytes]);
        for word in ["MSG ", "HMSG a 1 ", "INFO ", "-ERR ", "HMSG a 1 12 14\r\nNATS/1.0"] {
            commands(&[word.as_bytes(), &bytes]);
        }
        let _ = NatsUrl::parse_list(&String::from_utf8_lossy(&bytes));
    }
}
