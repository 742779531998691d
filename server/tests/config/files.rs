//! Files, includes and options: what they say and how they are refused.

use super::*;

fn fatal(line: usize, text: &str, reason: &str) -> String {
    format!(
        "\n*** FATAL CONFIG FILE ERROR (Redis 7.2.4) ***\n\
         Reading the configuration file, at line {line}\n>>> '{text}'\n{reason}\n"
    )
}

#[test]
fn the_first_bad_line_stops_the_start() {
    let bad = "Bad directive or wrong number of arguments";
    for (line, reason) in [
        ("foo bar", bad),
        ("rename-command foo", bad),
        ("include a b", bad),
        ("user", bad),
        ("\"foo bar", "Unbalanced quotes in configuration line"),
        ("port 1 2", "wrong number of arguments"),
        ("save 1", "Invalid save parameters"),
        (
            "sentinel monitor x",
            "sentinel directive while not in sentinel mode",
        ),
        ("dir /no/such", "No such file or directory"),
        (
            "unixsocketperm 999",
            "argument couldn't be parsed as an octal number",
        ),
        (
            "unixsocketperm 1777",
            "argument must be between 0 and 777 inclusive",
        ),
        (
            "dbfilename a/b",
            "dbfilename can't be a path, just a filename",
        ),
        ("appendfilename \"\"", "appendfilename can't be empty"),
        ("replicaof a 99999", "Invalid master port"),
        ("replicaof a", "wrong number of arguments"),
        (
            "bind 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
            "Too many bind addresses specified.",
        ),
        ("maxclients 10 # many", "wrong number of arguments"),
    ] {
        let text = format!("# first\n\n  {line}\t\r\nnonsense");
        let error = load_text(text.as_bytes(), None, &machine())
            .err()
            .expect(line);
        assert_eq!(error.to_string(), fatal(3, line, reason));
    }
    let error = load_text(b"cluster-enabled yes\nreplicaof a 1", None, &machine())
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "\n*** FATAL CONFIG FILE ERROR (Redis 7.2.4) ***\nreplicaof directive not allowed in cluster mode\n"
    );
    let error = load_text(b"logfile /no/such/file", None, &machine())
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .ends_with("\nCan't open the log file: No such file or directory\n")
    );
}

#[test]
fn errors_in_options_look_like_lines() {
    let error = |args: &[&str]| {
        let words: Vec<_> = args.iter().map(|word| word.as_bytes().to_vec()).collect();
        let Invocation::Serve(source) = parse(&words) else {
            panic!()
        };
        load(&source, &machine()).err().unwrap().to_string()
    };
    assert_eq!(
        error(&["--port"]),
        fatal(2, "port", "wrong number of arguments")
    );
    assert_eq!(
        error(&["--port", "1", "2"]),
        fatal(2, "port \"1\" \"2\"", "wrong number of arguments")
    );
    let not_a_number = "argument couldn't be parsed into an integer";
    assert_eq!(
        error(&["--hz", "5", "--port", "--bla", "--hz", "1"]),
        fatal(3, "port \"--bla\"", not_a_number)
    );
    let not_a_word = "argument(s) must be one of the following: default, save, nosave, now, force";
    assert_eq!(
        error(&["--shutdown-on-sigint"]),
        fatal(2, "shutdown-on-sigint", not_a_word)
    );
}

#[test]
fn save_points_add_up_within_a_load() {
    let save = |text| one(&store(text), "save");
    assert_eq!(save(""), "3600 1 300 100 60 10000");
    assert_eq!(save("save 900 1\nsave 300 10 60 5"), "900 1 300 10 60 5");
    assert_eq!(save("save 900 1\nsave ''"), "");
    assert_eq!(save("save '900 1 300 10'"), "900 1 300 10");
    assert_eq!(one(&store("slaveof 'h' 1"), "replicaof"), "h 1");
    assert_eq!(one(&store("bind"), "bind"), "");
}

#[test]
fn files_include_files() {
    let scratch = Scratch::new("include");
    scratch.write("parts/b.conf", "hz 20\ntimeout 2");
    scratch.write("parts/a.conf", "hz 30\nloglevel debug");
    scratch.write("parts/.hidden.conf", "nonsense");
    scratch.write(
        "main.conf",
        "hz 10\ninclude p*/*.conf\ninclude none*.conf\ndir parts\ninclude ./b.conf",
    );
    let settings = scratch
        .load("main.conf", &["--timeout", "9"])
        .unwrap()
        .settings;
    assert_eq!(
        (settings.hz, settings.timeout_s, settings.loglevel),
        (20, 9, LogLevel::Debug)
    );
    assert_eq!(settings.dir, scratch.0.join("parts"));

    scratch.write("bad.conf", "\ninclude parts/bad");
    scratch.write("parts/bad", "hz x");
    let error = scratch.load("bad.conf", &[]).err().unwrap().to_string();
    assert_eq!(
        error,
        fatal(1, "hz x", "argument couldn't be parsed into an integer")
    );
    scratch.write("loop.conf", "include loop.conf");
    let error = scratch.load("loop.conf", &[]).err().unwrap().to_string();
    assert_eq!(
        error,
        fatal(
            1,
            "include loop.conf",
            "Files include one another too deeply"
        )
    );

    let missing =
        |startup: Result<Startup, _>| startup.err().map(|error: StartError| error.to_string());
    scratch.write("missing.conf", "include gone.conf");
    let gone = "Fatal error, can't open config file 'gone.conf': No such file or directory";
    assert_eq!(
        missing(scratch.load("missing.conf", &[])).as_deref(),
        Some(gone)
    );
    let path = scratch.0.join("gone.conf");
    let gone = format!(
        "Fatal error, can't open config file '{}': No such file or directory",
        path.display()
    );
    assert_eq!(missing(scratch.load("gone.conf", &[])), Some(gone));
}

#[test]
fn lines_that_are_no_settings_are_handed_on() {
    let startup = started(
        "rename-command FLUSHALL ''\nuser alice on nopass\nio-threads-do-reads yes\nloadmodule x.so 1",
    );
    let rename = &startup.renames[0];
    assert_eq!(
        (rename.from.as_slice(), rename.to.as_slice()),
        (&b"FLUSHALL"[..], &b""[..])
    );
    assert_eq!(
        startup.users,
        [[b"alice".to_vec(), b"on".to_vec(), b"nopass".to_vec()]]
    );
    assert_eq!(startup.modules, [[b"x.so".to_vec(), b"1".to_vec()]]);
    let reason = "No such command in rename-command";
    assert_eq!(
        rename.refused(reason).to_string(),
        fatal(1, "rename-command FLUSHALL ''", reason)
    );
}

#[test]
fn one_warning_names_what_is_not_built() {
    assert_eq!(
        started("port 1\nsave ''\nappendonly no\ntls-port 0\nmaxmemory 1gb").warning(),
        None
    );
    let warning = started("appendonly yes\nTLS-port 5\nuser a on")
        .warning()
        .unwrap();
    assert!(
        warning.ends_with(": tls-port, appendonly, user"),
        "{warning}"
    );
}
