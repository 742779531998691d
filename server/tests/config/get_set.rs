//! CONFIG GET and CONFIG SET.

use super::*;

#[test]
fn config_get_takes_patterns_aliases_and_any_case() {
    let store = store("");
    let names = |patterns: &[&str]| {
        get(&store, patterns)
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&["HZ", "hz", "h?"]), ["hz"]);
    assert_eq!(
        names(&["hash-max-*-VALUE"]),
        ["hash-max-listpack-value", "hash-max-ziplist-value"]
    );
    assert_eq!(names(&["*of", "port"]), ["port", "replicaof", "slaveof"]);
    assert_eq!(names(&["slaveof"]), ["slaveof"]);
    assert_eq!(names(&["no-such-thing", "["]), [""; 0]);
    assert_eq!(names(&["KEY-load-delay"]), ["key-load-delay"]);
    assert_eq!(names(&["key-load-*"]), [""; 0], "hidden from patterns");
}

/// What a CONFIG SET is refused with: directive, value, reason.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "maxclients",
        "0",
        "argument must be between 1 and 4294967295 inclusive",
    ),
    (
        "timeout",
        "abc",
        "argument couldn't be parsed into an integer",
    ),
    (
        "timeout",
        "2147483648",
        "argument must be between 0 and 2147483647 inclusive",
    ),
    ("maxmemory", "abc", "argument must be a memory value"),
    ("maxmemory", "-1", "argument must be a memory value"),
    (
        "maxmemory-clients",
        "101%",
        "percentage argument must be less or equal to 100",
    ),
    (
        "maxmemory-clients",
        "-3%",
        "argument must be a memory or percent value",
    ),
    (
        "proto-max-bulk-len",
        "100",
        "argument must be between 1048576 and 9223372036854775807 inclusive",
    ),
    ("appendonly", "maybe", "argument must be 'yes' or 'no'"),
    (
        "appendfsync",
        "x",
        "argument(s) must be one of the following: everysec, always, no",
    ),
    ("daemonize", "yes", "can't set immutable config"),
    ("dir", "/", "can't set protected config"),
    ("save", "1", "Invalid save parameters"),
    (
        "client-output-buffer-limit",
        "foo",
        "Wrong number of arguments in buffer limit configuration.",
    ),
    (
        "client-output-buffer-limit",
        "foo 1 2 3",
        "Invalid client class specified in buffer limit configuration.",
    ),
    (
        "client-output-buffer-limit",
        "normal 1 2 x",
        "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
    ),
    (
        "latency-tracking-info-percentiles",
        "101",
        "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]",
    ),
    (
        "latency-tracking-info-percentiles",
        "abc",
        "Invalid latency-tracking-info-percentiles parameters",
    ),
    (
        "notify-keyspace-events",
        "q",
        "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.",
    ),
    (
        "shutdown-on-sigint",
        "x",
        "argument(s) must be one of the following: default, save, nosave, now, force",
    ),
    (
        "shutdown-on-sigint",
        "save nosave",
        "shutdown options SAVE and NOSAVE can't be used simultaneously",
    ),
    (
        "proc-title-template",
        "{foo}",
        "template format is invalid or contains unknown variables",
    ),
    ("oom-score-adj-values", "1 2", "wrong number of arguments"),
    (
        "cluster-announce-hostname",
        "a b",
        "Hostnames may only contain alphanumeric characters, hyphens or dots",
    ),
];

#[test]
fn refusals_are_worded_as_in_redis() {
    let store = store("");
    let before = get(&store, &["*"]);
    for (name, value, reason) in REFUSED {
        let text =
            format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}");
        assert_eq!(set_one(&store, name, value), Err(text));
    }
    let unknown = "ERR Unknown option or number of arguments for CONFIG SET - 'foo'";
    assert_eq!(set(&store, "foo 1"), Err(unknown.to_owned()));
    let duplicate =
        "ERR CONFIG SET failed (possibly related to argument 'MAXMEMORY') - duplicate parameter";
    assert_eq!(
        set(&store, "maxmemory 1 MAXMEMORY 2"),
        Err(duplicate.to_owned())
    );
    assert_eq!(get(&store, &["*"]), before);
    assert_eq!(store.generation(), 0);
}

#[test]
fn a_set_takes_all_pairs_or_none() {
    let store = store("");
    assert_eq!(
        set(&store, "maxmemory 10mb timeout 3 HZ 20 tcp-keepalive 300"),
        Ok(3)
    );
    assert_eq!(store.generation(), 1);
    set(&store, "maxmemory 20mb timeout x hz 30").unwrap_err();
    set(&store, "maxmemory 20mb nonsense 1").unwrap_err();
    assert_eq!(
        (one(&store, "maxmemory"), one(&store, "hz")),
        ("10485760".into(), "20".into())
    );
    assert_eq!(store.generation(), 1);
    assert_eq!(set_one(&store, "save", "900 1 300 10"), Ok(1));
    assert_eq!(set_one(&store, "save", "60 5"), Ok(1));
    assert_eq!(one(&store, "save"), "60 5", "a set replaces");
    assert_eq!(set_one(&store, "save", ""), Ok(1));
    assert_eq!(
        set_one(&store, "client-output-buffer-limit", "pubsub 1 2 3"),
        Ok(1)
    );
    assert_eq!(
        one(&store, "client-output-buffer-limit"),
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 1 2 3"
    );
    assert_eq!(
        set(&store, "slaveof a"),
        set(&store, "daemonize no").map_err(|e| e.replace("daemonize", "slaveof"))
    );
}

#[test]
fn a_failed_effect_takes_back_those_before_it() {
    let store = store("port 7000");
    let mut log = Vec::new();
    let pairs: &[(&[u8], &[u8])] = &[
        (b"maxclients", b"5"),
        (b"maxmemory", b"0"),
        (b"loglevel", b"debug"),
        (b"Port", b"7001"),
        (b"bind", b"::1"),
    ];
    let refused = store.set(pairs, Caller::default(), &mut |effect, from, to| {
        log.push((effect, from.port, to.port));
        match effect {
            Effect::Port => Err("Unable to listen on this port. Check server logs.".to_owned()),
            _ => Ok(()),
        }
    });
    let text = "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server logs.";
    assert_eq!(
        refused.err().map(|refusal| refusal.to_string()),
        Some(text.to_owned())
    );
    assert_eq!(
        log,
        [
            (Effect::ClientLimit, 7000, 7001),
            (Effect::LogLevel, 7000, 7001),
            (Effect::Port, 7000, 7001),
            (Effect::LogLevel, 7001, 7000),
            (Effect::ClientLimit, 7001, 7000),
        ],
        "an unchanged value has no effect"
    );
    assert_eq!(
        (one(&store, "maxclients"), one(&store, "port")),
        ("10000".into(), "7000".into())
    );
}

#[test]
fn protected_directives_open_to_whom_the_file_says() {
    let may = |access: &str, is_local| {
        let store = store(&format!("enable-protected-configs {access}"));
        set_pairs(
            &store,
            &[(b"dbfilename", b"x")],
            Caller {
                is_local,
                loading: false,
            },
        )
        .is_ok()
    };
    assert_eq!(
        [
            may("no", true),
            may("local", true),
            may("local", false),
            may("yes", false)
        ],
        [false, true, false, true]
    );
    let loading = Caller {
        is_local: true,
        loading: true,
    };
    let store = store("");
    let refused = set_pairs(&store, &[(b"foo", b"1"), (b"appendonly", b"yes")], loading);
    assert_eq!(
        refused,
        Err("LOADING Redis is loading the dataset in memory".to_owned())
    );
    assert_eq!(
        set_pairs(&store, &[(b"loglevel", b"debug")], loading),
        Ok(1)
    );
}

#[test]
fn the_generation_rises_with_every_change_and_with_nothing_else() {
    let store = store("");
    let (generation, held) = (store.generation(), store.settings());
    set(&store, "timeout -1").unwrap_err();
    assert_eq!(store.generation(), generation);
    set(&store, "timeout 7").unwrap();
    assert_eq!(store.generation(), generation + 1);
    assert_eq!((held.timeout_s, store.settings().timeout_s), (0, 7));
}
