//! What several connections do to one another, and how connections end: what a script of one client cannot say.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use ostraka_tests::client::Client;
use ostraka_tests::reply::encode;
use ostraka_tests::server::{TestServer, at_all_shards, wait_until};

/// Everything that the server says until it closes the connection.
fn all_of(mut stream: &TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("an open socket");
    stream.read_to_end(&mut said).expect("an orderly end");
    said
}

fn field(line: &str, name: &str) -> String {
    let value = line.split(' ').find_map(|pair| {
        pair.trim_matches('"')
            .strip_prefix(name)?
            .strip_prefix('=')
            .map(str::to_owned)
    });
    value.unwrap_or_else(|| panic!("no {name} in {line}"))
}

// ---- CLIENT KILL and LIST

#[test]
fn a_killed_client_is_gone_at_once_and_closed_soon() {
    at_all_shards("", |server| {
        let mut killer = server.client();
        let mut others: Vec<Client> = (0..8).map(|_| server.client()).collect();
        let ids: Vec<String> = others.iter_mut().map(|c| c.say("CLIENT ID")).collect();
        for (other, id) in others.iter_mut().zip(&ids) {
            let id = &id[1..];
            assert_eq!(killer.say(&format!("CLIENT KILL ID {id}")), ":1");
            assert_eq!(killer.say(&format!("CLIENT LIST ID {id}")), "\"\"");
            assert!(other.is_closed());
        }
        assert_eq!(killer.say("CLIENT KILL TYPE normal"), ":0");
        assert_eq!(killer.say("CLIENT KILL TYPE normal SKIPME no"), ":1");
        assert!(killer.is_closed());
    });
}

#[test]
fn a_client_that_kills_itself_gets_its_reply() {
    let server = TestServer::start(2, "");
    let mut client = server.client();
    let address = field(&client.say("CLIENT INFO"), "addr");
    client.send(&encode(&["CLIENT", "KILL", &address]));
    client.send(&encode(&["SET", "after", "death"]));
    assert_eq!(client.reply().expect("a reply"), ["+OK"]);
    assert!(client.is_closed());
    assert_eq!(server.client().say("GET after"), "(nil)");
}

#[test]
fn every_loops_clients_are_listed_and_filtered() {
    at_all_shards("", |server| {
        let mut clients: Vec<Client> = (0..6).map(|_| server.client()).collect();
        for (n, client) in clients.iter_mut().enumerate() {
            client.say(&format!("CLIENT SETNAME n{n}"));
            client.say(&format!("SELECT {n}"));
        }
        let mut asker = server.client();
        let count = |list: &str| list.matches("id=").count();
        assert_eq!(count(&asker.say("CLIENT LIST")), 7);
        assert_eq!(count(&asker.say("CLIENT LIST NAME n3")), 1);
        assert_eq!(count(&asker.say("CLIENT LIST NOT-NAME n3 SKIPME yes")), 5);
        assert_eq!(count(&asker.say("CLIENT LIST DB 4 FLAGS N")), 1);
        assert_eq!(count(&asker.say("CLIENT LIST IP 127.0.0.1 NOT-DB 0")), 5);
        assert_eq!(count(&asker.say("CLIENT LIST TYPE pubsub")), 0);
        assert_eq!(count(&asker.say("CLIENT LIST USER default MAXAGE 1000")), 0);
        assert_eq!(asker.say("CLIENT KILL NAME n0"), ":1");
        assert!(clients[0].is_closed());
        assert_eq!(count(&asker.say("CLIENT LIST")), 6);
    });
}

// ---- CLIENT PAUSE

#[test]
fn paused_writes_wait_and_reads_do_not() {
    at_all_shards("", |server| {
        let (mut admin, mut reader) = (server.client(), server.client());
        admin.say("SET key before");
        assert_eq!(admin.say("CLIENT PAUSE 100000 WRITE"), "+OK");
        let mut writers: Vec<Client> = (0..4).map(|_| server.client()).collect();
        for (n, writer) in writers.iter_mut().enumerate() {
            writer.send(&encode(&["SET", &format!("key{n}"), "after"]));
            // An inline command that is parsed ahead, and then again.
            writer.send(format!("set key \"of \\\"{n}\\\"\"\r\nPING\r\n").as_bytes());
        }
        wait_until("all writers wait", || {
            admin.say("CLIENT LIST FLAGS b").matches("id=").count() == 4
        });
        assert_eq!(reader.say("GET key"), "\"before\"");
        assert_eq!(
            reader.say("SET key"),
            "-ERR wrong number of arguments for 'set' command"
        );
        assert_eq!(admin.say("CLIENT UNPAUSE"), "+OK");
        for writer in &mut writers {
            for expected in ["+OK", "+OK", "+PONG"] {
                assert_eq!(writer.reply().expect("a reply"), [expected]);
            }
        }
        let last = reader.say("GET key");
        assert!(last.starts_with("\"of \\\""), "{last}");
        assert_eq!(reader.say("GET key3"), "\"after\"");
    });
}

#[test]
fn an_inline_command_that_waited_is_unescaped_once() {
    let server = TestServer::start(2, "");
    let (mut admin, mut writer) = (server.client(), server.client());
    admin.say("CLIENT PAUSE 100000 WRITE");
    writer.send(b"set key \"a \\x41 \\\\x41\"\r\n");
    wait_until("the writer waits", || {
        admin.say("CLIENT LIST FLAGS b").contains("id=")
    });
    admin.say("CLIENT UNPAUSE");
    assert_eq!(writer.reply().expect("a reply"), ["+OK"]);
    assert_eq!(admin.say("GET key"), "\"a A \\\\x41\"");
}

#[test]
fn a_pause_of_everything_ends_by_itself() {
    at_all_shards("", |server| {
        let mut admin = server.client();
        let mut others: Vec<Client> = (0..4).map(|_| server.client()).collect();
        others.iter_mut().for_each(|other| {
            other.say("PING");
        });
        assert_eq!(admin.say("CLIENT PAUSE 300"), "+OK");
        // Shorter and milder pauses change nothing; and nothing is exempt.
        for other in &mut others {
            other.send(b"CLIENT UNPAUSE\r\nPING\r\n");
        }
        for other in &mut others {
            assert_eq!(other.reply().expect("a reply"), ["+OK"]);
            assert_eq!(other.reply().expect("a reply"), ["+PONG"]);
        }
    });
}

#[test]
fn a_paused_client_that_leaves_has_not_written() {
    let server = TestServer::start(2, "");
    let mut admin = server.client();
    admin.say("CLIENT PAUSE 100000 WRITE");
    let mut writer = TcpStream::connect(server.address).expect("the server listens");
    writer.write_all(b"SET key value\r\n").expect("it reads");
    wait_until("the writer waits", || {
        admin.say("CLIENT LIST FLAGS b").contains("id=")
    });
    drop(writer);
    wait_until("the writer is gone", || {
        !admin.say("CLIENT LIST").contains("flags=b")
    });
    admin.say("CLIENT UNPAUSE");
    assert_eq!(admin.say("GET key"), "(nil)");
}

// ---- MONITOR

#[test]
fn a_monitor_sees_the_commands_of_all_loops_but_no_secrets() {
    at_all_shards("", |server| {
        let mut monitor = server.client();
        assert_eq!(monitor.say("MONITOR"), "+OK");
        let mut clients: Vec<Client> = (0..4).map(|_| server.client()).collect();
        let mut next = || monitor.reply().expect("a line").join(" ");
        for (n, client) in clients.iter_mut().enumerate() {
            client.say(&format!("SELECT {n}"));
            let line = next();
            assert!(line.contains(&format!(" [{n} 127.0.0.1:")), "{line}");
            client.ask(&["SET", "k\"\n\x01", "v"]);
            let line = next();
            assert!(line.ends_with(r#"] "SET" "k\"\n\x01" "v""#), "{line}");
            client.say("AUTH secret");
            assert!(next().ends_with(r#"] "AUTH" "(redacted)""#));
            client.say("HELLO 2 AUTH me secret SETNAME x");
            let line = next();
            let expected = r#""HELLO" "2" "AUTH" "(redacted)" "(redacted)" "SETNAME" "x""#;
            assert!(line.ends_with(expected), "{line}");
            // Administrators are not watched.
            client.say("CLIENT LIST");
        }
        assert!(monitor.say("GET key").starts_with("-ERR Replica can't"));
        assert_eq!(monitor.say("RESET"), "+RESET");
        clients[0].say("PING");
        assert_eq!(monitor.say("ECHO quiet"), "\"quiet\"");
    });
}

#[test]
fn what_a_monitor_sees_is_the_order_of_writes_to_a_key() {
    let server = TestServer::start(4, "");
    let mut monitor = server.client();
    monitor.say("MONITOR");
    let mut clients: Vec<Client> = (0..4).map(|_| server.client()).collect();
    for round in 0..50 {
        for (n, client) in clients.iter_mut().enumerate() {
            client.send(&encode(&["SET", "key", &format!("{round}-{n}")]));
        }
    }
    for client in &mut clients {
        (0..50).for_each(|_| assert_eq!(client.reply().expect("a reply"), ["+OK"]));
    }
    let lines: Vec<String> = (0..200)
        .map(|_| monitor.reply().expect("a line").join(" "))
        .collect();
    let last = server.client().say("GET key");
    let written = lines.last().and_then(|line| line.rsplit(' ').next());
    assert_eq!(written, Some(&*last));
}

// ---- CLIENT REPLY

#[test]
fn replies_are_switched_off_and_skipped() {
    let server = TestServer::start(2, "");
    let mut client = server.client();
    client.send(b"CLIENT REPLY SKIP\r\nECHO 1\r\nECHO 2\r\n");
    assert_eq!(client.reply().expect("a reply"), ["\"2\""]);
    client.send(b"CLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nNOSUCH\r\nECHO 3\r\n");
    assert_eq!(client.reply().expect("a reply"), ["\"3\""]);
    client.send(b"CLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\nECHO 4\r\n");
    assert_eq!(client.reply().expect("a reply"), ["+OK"]);
    assert_eq!(client.reply().expect("a reply"), ["\"4\""]);
    client.send(
        b"CLIENT REPLY OFF\r\nECHO 5\r\nGET\r\nCLIENT REPLY SKIP\r\nSET k v\r\nCLIENT REPLY ON\r\n",
    );
    assert_eq!(client.reply().expect("a reply"), ["+OK"]);
    assert_eq!(client.say("GET k"), "\"v\"");
    // QUIT closes although it has nothing to say.
    client.send(b"CLIENT REPLY OFF\r\nQUIT\r\nSET k w\r\n");
    assert!(client.is_closed());
    assert_eq!(server.client().say("GET k"), "\"v\"");
}

// ---- bytes in pieces

#[test]
fn a_pipeline_may_be_cut_anywhere() {
    let mut pipeline = Vec::new();
    pipeline.extend(encode(&["SET", "one", "1"]));
    pipeline.extend(b"\r\nset two \"a \\x42 'c'\"\r\n");
    pipeline.extend(encode(&["GET", "two"]));
    pipeline.extend(b"*0\r\nGET one\r\n");
    pipeline.extend(encode(&["ECHO", "$3\r\n"]));
    pipeline.extend(b"NOSUCH x\r\n");
    pipeline.extend(encode(&["PING"]));
    let expected: [&str; 7] = [
        "+OK",
        "+OK",
        "\"a B 'c'\"",
        "\"1\"",
        "\"$3\\r\\n\"",
        "-ERR unknown command 'NOSUCH', with args beginning with: 'x' ",
        "+PONG",
    ];
    let server = TestServer::start(2, "");
    let mut client = server.client();
    let mut check = |pieces: &[&[u8]]| {
        for piece in pieces {
            client.send(piece);
            std::thread::yield_now();
        }
        for expected in expected {
            assert_eq!(client.reply().expect("a reply"), [expected], "{pieces:?}");
        }
    };
    for cut in 0..=pipeline.len() {
        let (head, tail) = pipeline.split_at(cut);
        check(&[head, tail]);
    }
    check(&pipeline.chunks(1).collect::<Vec<_>>());
}

#[test]
fn a_reader_that_comes_late_gets_everything_it_asked_for() {
    const ASKED: usize = 2000;
    at_all_shards("", |server| {
        let value = "x".repeat(15_000);
        let mut client = server.client();
        client.ask(&["SET", "big", &value]);
        // 30 MB of replies: more than is executed ahead of a client that does not listen.
        client.send(&encode(&["GET", "big"]).repeat(ASKED));
        client.send(&encode(&["ECHO", "end"]));
        let expected = format!("\"{value}\"");
        for _ in 0..ASKED {
            assert_eq!(client.reply().expect("a reply"), [&*expected]);
        }
        assert_eq!(client.reply().expect("a reply"), ["\"end\""]);
    });
}

#[test]
fn who_stops_sending_still_gets_all_replies() {
    at_all_shards("", |server| {
        for _ in 0..20 {
            let mut stream = TcpStream::connect(server.address).expect("the server listens");
            stream
                .write_all(b"SET k v\r\nGET k\r\nPING\r\n")
                .expect("it reads");
            stream.shutdown(Shutdown::Write).expect("an open socket");
            assert_eq!(all_of(&stream), b"+OK\r\n$1\r\nv\r\n+PONG\r\n");
        }
        wait_until("nobody is left", || {
            server.client().say("CLIENT LIST").matches("id=").count() == 1
        });
    });
}

#[test]
fn nothing_runs_behind_a_broken_request_or_a_farewell() {
    let server = TestServer::start(2, "");
    for (request, reply) in [
        ("QUIT\r\nSET k v\r\n", "+OK\r\n"),
        (
            "*1\r\n+PING\r\nSET k v\r\n",
            "-ERR Protocol error: expected '$', got '+'\r\n",
        ),
        ("PING\r\nPOST / HTTP/1.1\r\nSET k v\r\n", "+PONG\r\n"),
        ("GET /\r\nHost: localhost\r\nSET k v\r\n", "$-1\r\n"),
    ] {
        let mut stream = TcpStream::connect(server.address).expect("the server listens");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut said = Vec::new();
        // What it did not read may make the kernel end the connection with a reset.
        let _reset = stream.read_to_end(&mut said);
        assert_eq!(String::from_utf8_lossy(&said), reply, "{request:?}");
    }
    assert_eq!(server.client().say("GET k"), "(nil)");
}

// ---- who may stay

#[test]
fn a_crowd_that_comes_at_once_is_let_in_up_to_the_limit() {
    let server = TestServer::start(2, "maxclients 700");
    let crowd: Vec<TcpStream> = (0..700)
        .map(|_| TcpStream::connect(server.address).expect("the server listens"))
        .collect();
    for mut stream in &crowd {
        stream.write_all(b"PING\r\n").expect("it reads");
        let mut reply = [0; 7];
        stream.read_exact(&mut reply).expect("a reply");
        assert_eq!(&reply, b"+PONG\r\n");
    }
    for _ in 0..3 {
        let late = TcpStream::connect(server.address).expect("the server listens");
        assert_eq!(all_of(&late), b"-ERR max number of clients reached\r\n");
    }
    drop(crowd);
    wait_until("there is room again", || {
        let mut stream = TcpStream::connect(server.address).expect("the server listens");
        stream.write_all(b"PING\r\n").is_ok() && {
            let mut first = [0];
            stream.read_exact(&mut first).is_ok() && first == *b"+"
        }
    });
}

#[test]
fn an_idle_client_is_closed_and_a_monitor_is_not() {
    let server = TestServer::start(2, "timeout 1");
    let mut monitor = server.client();
    monitor.say("MONITOR");
    let mut idle = server.client();
    idle.say("PING");
    monitor.reply().expect("a line");
    assert!(idle.is_closed());
    assert_eq!(monitor.say("PING"), "+PONG");
}

#[test]
fn who_does_not_read_is_closed_at_the_hard_limit() {
    let server = TestServer::start(2, "client-output-buffer-limit normal 1mb 0 0");
    let mut client = server.client();
    client.ask(&["SET", "big", &"x".repeat(100_000)]);
    client.send(&encode(&["GET", "big"]).repeat(200));
    wait_until("it is gone", || {
        server.client().say("CLIENT LIST").matches("id=").count() == 1
    });
}

#[test]
fn the_greediest_client_is_evicted() {
    let server = TestServer::start(2, "maxmemory-clients 2mb");
    let mut spared = server.client();
    assert_eq!(spared.say("CLIENT NO-EVICT on"), "+OK");
    let mut greedy = server.client();
    greedy.say("PING");
    greedy.send(b"*2\r\n$4\r\nECHO\r\n$8000000\r\n");
    greedy.send(&vec![b'x'; 4_000_000]);
    assert!(greedy.is_closed());
    assert_eq!(spared.say("PING"), "+PONG");
}

// ---- logging in

#[test]
fn strangers_may_say_little_and_every_attempt_is_answered() {
    at_all_shards("requirepass secret", |server| {
        let mut client = server.client();
        assert_eq!(client.say("PING"), "-NOAUTH Authentication required.");
        assert!(client.say("HELLO 3").starts_with("-NOAUTH HELLO must be"));
        client.send(b"GET k\r\nAUTH wrong\r\nAUTH default secre\r\nAUTH other secret\r\nAUTH secret\r\nPING\r\n");
        let wrong = "-WRONGPASS invalid username-password pair or user is disabled.";
        let replies = [
            "-NOAUTH Authentication required.",
            wrong,
            wrong,
            wrong,
            "+OK",
            "+PONG",
        ];
        for expected in replies {
            assert_eq!(client.reply().expect("a reply"), [expected]);
        }
        assert_eq!(client.say("AUTH nonsense"), wrong);
        assert_eq!(client.say("PING"), "+PONG");
        assert_eq!(client.say("RESET"), "+RESET");
        assert_eq!(client.say("PING"), "-NOAUTH Authentication required.");
        let mut greeted = server.client();
        assert!(greeted.say("HELLO 2 AUTH default secret").contains("proto"));
        for (request, reply) in [
            ("*11\r\n", "unauthenticated multibulk length"),
            ("*1\r\n$16385\r\n", "unauthenticated bulk length"),
        ] {
            let mut stream = TcpStream::connect(server.address).expect("the server listens");
            stream.write_all(request.as_bytes()).expect("it reads");
            let said = String::from_utf8(all_of(&stream)).expect("text");
            assert_eq!(said, format!("-ERR Protocol error: {reply}\r\n"));
        }
    });
}

#[test]
fn a_stranger_that_does_not_read_is_closed() {
    let server = TestServer::start(1, "requirepass secret");
    let mut stream = TcpStream::connect(server.address).expect("the server listens");
    stream
        .set_write_timeout(Some(Duration::from_secs(20)))
        .expect("an open socket");
    let requests = b"SET x 5\r\n".repeat(10_000);
    let sent = (0..2000).take_while(|_| stream.write_all(&requests).is_ok());
    assert!(sent.count() < 2000, "the server reads on for ever");
}

// ---- output limits

/// What is over the hard limit is never sent, and what was asked for after it never happens.
#[test]
fn a_reply_over_the_hard_limit_closes_its_client_unheard() {
    at_all_shards("", |server| {
        let mut client = server.client();
        client.say("SET after 0");
        let value = "x".repeat(10_000);
        assert_eq!(client.ask(&["SET", "big", &value]), ["+OK"]);
        let limit = "normal 100000 0 0";
        let set = ["CONFIG", "SET", "client-output-buffer-limit", limit];
        assert_eq!(client.ask(&set), ["+OK"]);
        for request in [["GET", "big"], ["MGET", "big"]] {
            let greedy = TcpStream::connect(server.address).expect("the server listens");
            let mut pipeline = encode(&request).repeat(20);
            pipeline.extend(encode(&["INCR", "after"]));
            (&greedy).write_all(&pipeline).expect("an open connection");
            assert_eq!(all_of(&greedy), b"");
        }
        assert_eq!(client.say("GET after"), "\"0\"");
        let many: Vec<&str> = std::iter::once("MGET").chain(["big"; 20]).collect();
        let greedy = TcpStream::connect(server.address).expect("the server listens");
        (&greedy)
            .write_all(&encode(&many))
            .expect("an open connection");
        assert_eq!(all_of(&greedy), b"");
        // Under the limit, however often.
        for _ in 0..20 {
            let many: Vec<&str> = std::iter::once("MGET").chain(["big"; 9]).collect();
            assert_eq!(client.ask(&many).len(), 10);
        }
    });
}

#[test]
fn keys_over_the_hard_limit_are_not_gathered() {
    at_all_shards("client-output-buffer-limit normal 100000 0 0", |server| {
        let mut client = server.client();
        for (count, prefix) in [(1000, "k".repeat(150)), (10_000, "key".to_owned())] {
            client.ask(&["DEBUG", "POPULATE", &count.to_string(), &prefix]);
            let greedy = TcpStream::connect(server.address).expect("the server listens");
            (&greedy)
                .write_all(&encode(&["KEYS", "*"]))
                .expect("an open connection");
            assert_eq!(all_of(&greedy), b"");
        }
        assert_eq!(client.say("DBSIZE"), ":11000");
    });
}
