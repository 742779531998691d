//! HyperLogLogs move between our server and a stock redis-server as the strings that they are.

use ostraka_tests::client::Client;
use ostraka_tests::server::{Oracle, TestServer};

/// Shows both servers the same elements, and hands the bytes of one to the other now and then.
#[test]
fn raw_values_go_both_ways() {
    let Some(oracle) = Oracle::start() else {
        return;
    };
    let server = TestServer::start(2, "");
    let mut ours = Client::connect(server.address);
    let mut theirs = Client::connect(oracle.address);
    for round in 0..60 {
        let elements: Vec<String> = (0..20 * round)
            .map(|nth| format!("{round}:{nth}"))
            .collect();
        let mut add = vec!["PFADD".to_string(), "k".to_string()];
        add.extend(elements);
        assert_eq!(ours.ask(&add), theirs.ask(&add), "round {round}");
        if round % 3 != 0 {
            assert_eq!(
                ours.say("PFCOUNT k"),
                theirs.say("PFCOUNT k"),
                "round {round}"
            );
        }
        let (from_ours, from_theirs) = (ours.say("GET k"), theirs.say("GET k"));
        assert_eq!(from_ours, from_theirs, "round {round}");
        set(&mut theirs, &from_ours);
        set(&mut ours, &from_theirs);
        assert_eq!(ours.say("PFCOUNT moved k"), theirs.say("PFCOUNT moved k"));
        assert_eq!(ours.say("PFMERGE k moved"), theirs.say("PFMERGE k moved"));
    }
    assert_eq!(ours.say("PFDEBUG ENCODING k"), "+dense");
    assert_eq!(theirs.say("PFDEBUG ENCODING moved"), "+dense");
}

/// Stores a string that was printed with its escapes.
fn set(client: &mut Client, printed: &str) {
    let mut line = format!("SET moved {printed}").into_bytes();
    let mut words = Vec::new();
    ostraka_datatypes::resp::split_args(&mut line, &mut words).expect("a printed string is quoted");
    let words: Vec<&[u8]> = words.iter().map(|word| word.of(&line)).collect();
    assert_eq!(client.ask(&words), ["+OK"]);
}
