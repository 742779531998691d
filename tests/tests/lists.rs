//! Lists: clients that wait for elements, and work on long lists while others go on.

use ostraka_tests::client::Client;
use ostraka_tests::reply::encode;
use ostraka_tests::server::at_all_shards;

#[test]
fn a_push_serves_who_waited_first() {
    at_all_shards("", |server| {
        let mut pusher = server.client();
        let mut first = server.waiting(&mut pusher, "BLPOP a b c 0");
        let mut second = server.waiting(&mut pusher, "BRPOP c 0");
        let mut third = server.waiting(&mut pusher, "BLMPOP 0 2 x c RIGHT COUNT 2");
        assert_eq!(pusher.say("RPUSH c 1 2 3 4 5"), ":5");
        assert_eq!(first.hear(), r#"*2 "c" "1""#);
        assert_eq!(second.hear(), r#"*2 "c" "5""#);
        assert_eq!(third.hear(), r#"*2 "c" *2 "4" "3""#);
        assert_eq!(pusher.say("LRANGE c 0 -1"), r#"*1 "2""#);
        assert_eq!(pusher.say("BLPOP a c 0"), r#"*2 "c" "2""#);
    });
}

#[test]
fn an_element_moves_on_from_one_who_waits_to_the_next() {
    at_all_shards("", |server| {
        let mut pusher = server.client();
        let mut last = server.waiting(&mut pusher, "BLPOP k3 0");
        let mut second = server.waiting(&mut pusher, "BRPOPLPUSH k2 k3 0");
        let mut first = server.waiting(&mut pusher, "BLMOVE k1 k2 LEFT RIGHT 0");
        assert_eq!(pusher.say("LPUSH k1 x"), ":1");
        assert_eq!(first.hear(), r#""x""#);
        assert_eq!(second.hear(), r#""x""#);
        assert_eq!(last.hear(), r#"*2 "k3" "x""#);
        assert_eq!(pusher.say("EXISTS k1 k2 k3"), ":0");
    });
}

#[test]
fn a_wait_ends_in_time_and_whatever_waited_is_told_the_same() {
    at_all_shards("", |server| {
        let mut client = server.client();
        for request in [
            "BLPOP a b 0.01",
            "BRPOP a 0.001",
            "BLMPOP 0.01 1 a LEFT",
            "BLMOVE a b LEFT LEFT 0.01",
            "BRPOPLPUSH a b .01",
        ] {
            assert_eq!(client.say(request), "(nil-array)", "{request}");
        }
    });
}

#[test]
fn a_value_of_another_type_wakes_nobody_and_a_whole_transaction_comes_first() {
    at_all_shards("", |server| {
        let mut other = server.client();
        let mut waiting = server.waiting(&mut other, "BLPOP k 0");
        assert_eq!(other.say("SET k text"), "+OK");
        assert_eq!(other.say("DEL k"), ":1");
        assert_eq!(other.say("MULTI"), "+OK");
        for request in ["RPUSH k gone", "DEL k", "RPUSH k a b", "LPUSH k c"] {
            assert_eq!(other.say(request), "+QUEUED");
        }
        assert_eq!(other.say("EXEC"), "*4 :1 :1 :2 :3");
        assert_eq!(waiting.hear(), r#"*2 "k" "c""#);
        assert_eq!(other.say("LRANGE k 0 -1"), r#"*2 "a" "b""#);
    });
}

#[test]
fn other_commands_that_make_a_list_serve_too() {
    at_all_shards("", |server| {
        let mut other = server.client();
        assert_eq!(other.say("RPUSH source 3 1 2"), ":3");
        for (request, reply, element) in [
            ("SORT source STORE k", ":3", "1"),
            ("RENAME source k", "+OK", "3"),
        ] {
            let mut waiting = server.waiting(&mut other, "BLPOP k 0");
            assert_eq!(other.say(request), reply);
            assert_eq!(waiting.hear(), format!(r#"*2 "k" "{element}""#));
            assert_eq!(other.say("DEL k"), ":1");
        }
    });
}

/// Elements of the long lists: enough for thousands of slices.
const LONG: usize = 100_000;
/// What is pushed to them meanwhile.
const PUSHES: usize = 50;

fn fill(client: &mut Client, key: &str) {
    let numbers: Vec<String> = (0..LONG).map(|n| (n * 7919 % LONG).to_string()).collect();
    for chunk in numbers.chunks(10_000) {
        let mut request = vec!["RPUSH", key];
        request.extend(chunk.iter().map(String::as_str));
        client.ask(&request);
    }
}

#[test]
fn long_work_sees_one_moment_whatever_happens_meanwhile() {
    at_all_shards("", |server| {
        let mut reader = server.client();
        let mut writer = server.client();
        fill(&mut writer, "l");
        reader.send(&encode(&["LRANGE", "l", "0", "-1"]));
        reader.send(&encode(&["SORT", "l", "STORE", "sorted"]));
        reader.send(&encode(&["LPOS", "l", "7919", "RANK", "-1", "COUNT", "0"]));
        reader.send(&encode(&["LREM", "l", "0", "5"]));
        reader.send(&encode(&["LINSERT", "l", "AFTER", "7", "seven"]));
        for pushed in 1..=PUSHES {
            let len = writer.say("RPUSH l 1000000");
            assert!((LONG + pushed - 1..=LONG + pushed + 1).any(|fits| len == format!(":{fits}")));
        }
        let range = reader.reply().expect("the range");
        assert!(range.len() > LONG && range.len() <= LONG + PUSHES + 1);
        assert_eq!(range[0], format!("*{}", range.len() - 1));
        for (n, element) in range[1..].iter().enumerate() {
            let number = if n < LONG { n * 7919 % LONG } else { 1_000_000 };
            assert_eq!(*element, format!("\"{number}\""));
        }
        let stored = reader.hear();
        assert_eq!(reader.hear(), "*1 :1", "LPOS");
        assert_eq!(reader.hear(), ":1", "LREM");
        let len = reader.hear();
        assert_eq!(format!(":{}", LONG + PUSHES), reader.say("LLEN l"));
        assert!(len <= format!(":{}", LONG + PUSHES));
        assert_eq!(reader.say("LPOS l 5"), "(nil)");
        assert_eq!(reader.say("LPOS l seven"), {
            let at = (0..LONG)
                .position(|n| n * 7919 % LONG == 7)
                .expect("a permutation");
            let removed = (0..LONG)
                .position(|n| n * 7919 % LONG == 5)
                .expect("a permutation");
            format!(":{}", at + 1 - usize::from(removed < at))
        });
        assert_eq!(reader.say("LLEN sorted"), stored);
        for n in [0, 1, 500, LONG - 1] {
            assert_eq!(
                reader.say(&format!("LINDEX sorted {n}")),
                format!("\"{n}\"")
            );
        }
    });
}
