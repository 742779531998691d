//! The table itself: complete, consistent, with the defaults of stock servers, and shown by the sample file.

use super::*;

use ostraka_server::config::value::{Kind, Value};

/// `directives.tsv` holds what stock servers answer to CONFIG GET: Redis 7.0.15, Redis 8, Valkey 9.
fn stock() -> Vec<(String, [Option<String>; 3])> {
    let text = include_str!("directives.tsv");
    let default = |cell: &str| (cell != "-").then(|| cell.trim_matches('"').to_owned());
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        (cells[0].to_owned(), [1, 2, 3].map(|at| default(cells[at])))
    };
    text.lines().skip(1).map(row).collect()
}

/// Ours differ from those of Redis on purpose in these, and from Valkey wherever it differs from Redis.
fn deliberate(name: &str) -> Option<&'static str> {
    Some(match name {
        // Freeing large values in place would hold up everybody else.
        "lazyfree-lazy-eviction" | "lazyfree-lazy-expire" | "lazyfree-lazy-server-del" => "yes",
        "lazyfree-lazy-user-del" | "lazyfree-lazy-user-flush" => "yes",
        // Nobody is let in from outside who was not asked.
        "bind" => "127.0.0.1 -::1",
        // Where the tests started.
        "dir" => "/",
        // Redis 7.2 and Valkey say no; an AOF with timestamps cannot be read by older servers.
        "aof-timestamp-enabled" => "no",
        // Redis prints a null pointer here.
        "req-res-logfile" => "",
        _ => return None,
    })
}

#[test]
fn every_directive_of_redis_and_valkey_is_known_with_its_default() {
    let store = store("");
    let only_in_files = [
        "include",
        "rename-command",
        "user",
        "loadmodule",
        "sentinel",
    ];
    for (name, [redis_7, redis_8, valkey]) in stock() {
        if let Some(default) = redis_8.or(redis_7).or(valkey) {
            if name == "io-threads-do-reads" {
                continue; // A setting in 7.0 only.
            }
            assert_eq!(
                one(&store, &name),
                deliberate(&name).unwrap_or(&default),
                "{name}"
            );
        } else if !only_in_files.contains(&name.as_str()) {
            started(&format!("{name} 1"));
        }
    }
}

#[test]
fn config_get_star_lists_what_redis_lists() {
    let listed = get(&store(""), &["*"]);
    let moved = ["aof-disable-auto-gc", "io-threads-do-reads"]; // Hidden and gone since 7.2.
    for (name, [redis_7, ..]) in stock() {
        let is_listed = listed.iter().any(|(listed, _)| *listed == name);
        assert!(
            redis_7.is_none() || is_listed || moved.contains(&name.as_str()),
            "{name}"
        );
    }
    let mut names: Vec<_> = listed.iter().map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), listed.len(), "each name once");
}

#[test]
fn every_row_is_consistent() {
    let mut names: Vec<_> = table::rows().flat_map(|row| row.names()).collect();
    for name in &names {
        assert_eq!(*name, name.to_ascii_lowercase());
        assert!(table::lookup(name.to_uppercase().as_bytes()).is_some());
    }
    names.sort_unstable();
    assert!(
        names.windows(2).all(|pair| pair[0] != pair[1]),
        "no name belongs to two rows"
    );
    for row in table::rows() {
        assert_eq!(
            row.built,
            !row.doc.is_empty(),
            "{}: a built row is documented",
            row.name
        );
        assert!(
            !row.built || !row.hidden,
            "{}: nothing built is hidden",
            row.name
        );
    }
}

#[test]
fn both_ends_of_every_range_fit_their_field() {
    for row in table::rows() {
        let (min, max) = match row.kind {
            Kind::Integer { min, max } | Kind::Memory { min, max } => (min, max),
            _ => continue,
        };
        for end in [min, max] {
            if row
                .kind
                .parse(
                    &[end.to_string().as_bytes()],
                    &Value::Text(Vec::new()),
                    false,
                )
                .is_ok()
            {
                assert_eq!(
                    one(&store(&format!("{} {end}", row.name)), row.name),
                    end.to_string()
                );
            } else {
                assert!(end > i64::MAX.into(), "{}: {end} is refused", row.name);
            }
        }
    }
}

#[test]
fn every_value_is_written_so_that_it_reads_back() {
    let scratch = Scratch::new("all");
    let file = scratch.write("a.conf", "");
    let store = ConfigStore::new(&scratch.load("a.conf", &[]).unwrap());
    let all = get(&store, &["*"]);
    store.rewrite(true).unwrap();
    let lines = fs::read_to_string(&file).unwrap().lines().count();
    assert!(lines >= table::rows().count());
    let again = ConfigStore::new(&scratch.load("a.conf", &[]).unwrap());
    assert_eq!(get(&again, &["*"]), all);
}

#[test]
fn fields_follow_the_text() {
    let Settings { port, timeout_s, bind, maxmemory, maxmemory_policy, loglevel, shards, .. } = started(
        "port 7000\ntimeout 5\nbind 127.0.0.1 -::1\nmaxmemory 100mb\nmaxmemory-policy ALLKEYS-LFU\nloglevel debug",
    )
    .settings;
    assert_eq!(
        (port, timeout_s, maxmemory, shards),
        (7000, 5, 100 << 20, 3)
    );
    assert_eq!(
        (maxmemory_policy, loglevel),
        (EvictionPolicy::AllkeysLfu, LogLevel::Debug)
    );
    assert_eq!(
        bind.iter()
            .map(|a| (a.host(), a.is_optional()))
            .collect::<Vec<_>>(),
        [("127.0.0.1", false), ("::1", true)]
    );
    let settings =
        started("maxmemory-clients 5%\nunixsocketperm 700\nrequirepass 'a b'\nhz 1000\npidfile ''")
            .settings;
    assert_eq!(settings.maxmemory_clients, MemoryShare::Percent(5));
    assert_eq!((settings.unixsocketperm, settings.hz), (0o700, 500));
    assert_eq!(settings.requirepass.as_deref(), Some(&b"a b"[..]));
    assert_eq!((settings.pidfile, settings.unixsocket), (None, None));
    assert!(LogLevel::Debug < LogLevel::Notice && LogLevel::Warning < LogLevel::Nothing);
}

/// `OSTRAKA_BLESS=1 cargo test` writes the file anew.
#[test]
fn the_sample_file_is_what_the_rows_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ostraka.conf");
    if std::env::var_os("OSTRAKA_BLESS").is_some() {
        fs::write(&path, sample::render()).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap(), sample::render());
}

#[test]
fn the_sample_file_shows_the_defaults() {
    let text = sample::render();
    assert!(started(&text).warning().is_none());
    let active = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest.to_owned() + "\n",
        _ => String::new(),
    };
    let lines: String = text
        .lines()
        .filter(|line| !line.starts_with("#include"))
        .map(active)
        .collect();
    let shown = get(&store(&lines.replace("shards 4", "shards 3")), &["*"]);
    assert_eq!(shown, get(&store(""), &["*"]));
    let source = Source {
        options: lines.into_bytes(),
        ..Source::default()
    };
    assert!(load(&source, &machine()).is_ok());
}
