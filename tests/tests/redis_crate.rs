//! The `redis` crate as its users have it: connect, RESP2 and RESP3, pipeline, scan, reconnect after a kill.

use std::collections::HashSet;

use ostraka_tests::server::TestServer;
use redis::{Commands, Connection, ErrorKind, RedisResult, Value};

const SHARDS: usize = 2;

fn client(server: &TestServer, protocol: &str) -> redis::Client {
    let url = format!("redis://{}/?protocol={protocol}", server.address);
    redis::Client::open(url).expect("a valid address")
}

/// Runs a check over RESP2 and over RESP3, each against a server of its own.
fn check(run: impl Fn(&mut Connection) -> RedisResult<()>) {
    for protocol in ["resp2", "resp3"] {
        let server = TestServer::start(SHARDS, "");
        let mut connection = client(&server, protocol)
            .get_connection()
            .expect("the server accepts");
        run(&mut connection).unwrap_or_else(|error| panic!("{protocol}: {error}"));
    }
}

#[test]
fn values_go_in_and_come_out() {
    check(|c| {
        let (): () = c.set("greeting", "hello")?;
        assert_eq!(
            c.get::<_, Option<String>>("greeting")?,
            Some("hello".into())
        );
        assert_eq!(c.get::<_, Option<String>>("absent")?, None);
        assert_eq!(c.incr::<_, _, i64>("counter", 42)?, 42);
        let (): () = c.mset(&[("a", 1), ("b", 2)])?;
        let several: Vec<Option<i64>> = c.mget(&["a", "b", "absent"])?;
        assert_eq!(several, [Some(1), Some(2), None]);
        assert_eq!(c.del::<_, i64>(&["a", "absent"])?, 1);
        Ok(())
    });
}

#[test]
fn deadlines_are_set_and_read() {
    check(|c| {
        let (): () = c.set_ex("key", "value", 100)?;
        let ttl: i64 = c.ttl("key")?;
        assert!((1..=100).contains(&ttl), "ttl is {ttl}");
        assert!(c.persist::<_, bool>("key")?);
        assert_eq!(c.ttl::<_, i64>("key")?, -1);
        Ok(())
    });
}

#[test]
fn pipelines_answer_in_order() {
    check(|c| {
        let mut pipeline = redis::pipe();
        for i in 0..1000 {
            pipeline.set(format!("p:{i}"), i).ignore();
            pipeline.incr(format!("p:{i}"), 1);
        }
        let replies: Vec<i64> = pipeline.query(c)?;
        assert_eq!(replies, (1..=1000).collect::<Vec<i64>>());
        Ok(())
    });
}

#[test]
fn scan_finds_every_key() {
    check(|c| {
        let pairs: Vec<(String, usize)> = (0..500).map(|i| (format!("scan:{i}"), i)).collect();
        let (): () = c.mset(&pairs)?;
        let found: HashSet<String> = c
            .scan_match::<_, String>("scan:*")?
            .collect::<RedisResult<_>>()?;
        assert_eq!(found.len(), pairs.len());
        Ok(())
    });
}

#[test]
fn errors_keep_their_kind_and_the_connection_lives() {
    check(|c| {
        let (): () = c.set("text", "abc")?;
        let error = c
            .incr::<_, _, i64>("text", 1)
            .expect_err("text is no number");
        assert_eq!(
            error.kind(),
            ErrorKind::Server(redis::ServerErrorKind::ResponseError)
        );
        assert_eq!(
            error.detail(),
            Some("value is not an integer or out of range")
        );
        assert_eq!(redis::cmd("PING").query::<String>(c)?, "PONG");
        Ok(())
    });
}

#[test]
fn resp3_greets_with_a_map() {
    let server = TestServer::start(SHARDS, "");
    let mut connection = client(&server, "resp2").get_connection().expect("accepted");
    let greeting: Value = redis::cmd("HELLO")
        .arg(2)
        .query(&mut connection)
        .expect("a greeting");
    assert!(matches!(greeting, Value::Array(_)), "{greeting:?}");
    let mut connection = client(&server, "resp3").get_connection().expect("accepted");
    let greeting: Value = redis::cmd("HELLO")
        .arg(3)
        .query(&mut connection)
        .expect("a greeting");
    assert!(matches!(greeting, Value::Map(_)), "{greeting:?}");
}

#[test]
fn a_killed_client_connects_again() {
    let server = TestServer::start(SHARDS, "");
    let client = client(&server, "resp3");
    let mut victim = client.get_connection().expect("accepted");
    let mut killer = client.get_connection().expect("accepted");
    let id: i64 = redis::cmd("CLIENT")
        .arg("ID")
        .query(&mut victim)
        .expect("an id");
    let killed: i64 = redis::cmd("CLIENT")
        .arg(&["KILL", "ID", &id.to_string()])
        .query(&mut killer)
        .expect("a count");
    assert_eq!(killed, 1);
    let gone = redis::cmd("PING")
        .query::<String>(&mut victim)
        .expect_err("it was killed");
    assert!(gone.is_connection_dropped() || gone.is_io_error(), "{gone}");
    let mut again = client.get_connection().expect("accepted");
    assert_eq!(
        redis::cmd("PING")
            .query::<String>(&mut again)
            .expect("served"),
        "PONG"
    );
}

#[test]
fn a_password_in_the_address_is_used() {
    let server = TestServer::start(SHARDS, "requirepass secret");
    for (password, accepted) in [("secret", true), ("wrong", false)] {
        let url = format!("redis://:{password}@{}/", server.address);
        let connection = redis::Client::open(url)
            .expect("a valid address")
            .get_connection();
        assert_eq!(connection.is_ok(), accepted);
    }
}
