//! `ringpad dev`, and the other commands with it: the real binary, its printed lines, real ports. Every wait is for a line and
//! has a bound; that a pad got nothing is proved by an update that came after it.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod program;

use std::{fs, process::Command};

use program::{Dev, Program, output, ringpad};
use serde_json::Value;

const TRANSPORTS: [&str; 3] = ["grpc-web", "websocket", "grpc"];
const OTHER_NUMBER: &str = "0507-2345-6789";

#[test]
fn the_printed_curl_line_pops_on_every_pad_of_the_store_and_on_no_other() {
    let dev = Dev::start(&[]);
    assert_eq!(dev.pads.len(), 4, "two stores on two replicas");
    let called_store = dev.pads[0].store.clone();
    let open = |transport| dev.pads.iter().map(move |pad| (pad.store.clone(), pad.open(transport)));
    let (called, other): (Vec<_>, Vec<_>) =
        TRANSPORTS.into_iter().flat_map(open).partition(|(store, _)| *store == called_store);
    assert_eq!((called.len(), other.len()), (6, 6));
    for (_, pad) in called.iter().chain(&other) {
        assert_eq!(pad.event("snapshot")["resumed"], Value::Null, "proto3 JSON leaves false out");
    }

    let answer = dev.curl();
    assert_eq!(answer["status"], "accepted");
    let sentinel = dev.ring(OTHER_NUMBER, "010-9999-0000", &[]);
    let second = dev.ring("0507-1234-5678", "anonymous", &["--end-after", "1s", "--missed"]);

    for (_, pad) in &called {
        let first = pad.event("update");
        assert_eq!((&first["position"], &first["call"]["id"]), (&Value::from("1"), &answer["call_id"]));
        assert_eq!(first["call"]["state"], "CALL_STATE_RINGING");
        assert!(first["popUntil"].is_string(), "a fresh ring pops: {first}");
        let shown = first["call"]["caller"]["display"].as_str().unwrap_or_default();
        assert!(shown.starts_with("010-") && !shown.contains('*'), "a pad shows the number whole: {shown}");
        let [ring, end] = [pad.event("update"), pad.event("update")];
        assert_eq!((&ring["position"], &end["position"]), (&Value::from("2"), &Value::from("3")));
        assert!(second.iter().all(|id| ring["call"]["id"] == *id && end["call"]["id"] == *id));
        assert_eq!(ring["call"]["caller"]["kind"], "CALLER_KIND_WITHHELD");
        assert_eq!(end["call"]["state"], "CALL_STATE_MISSED");
    }
    for (_, pad) in &other {
        let first = pad.event("update");
        assert_eq!(
            (&first["position"], &first["call"]["id"]),
            (&Value::from("1"), &Value::from(sentinel[0].as_str()))
        );
    }

    for (_, pad) in called.into_iter().chain(other) {
        assert_eq!(pad.interrupt().0, Some(0));
    }
    let (code, remarks) = dev.interrupt();
    assert_eq!(code, Some(0), "{remarks}");
    assert!(!remarks.contains("99990000") && !remarks.contains("9999-0000"), "{remarks}");
}

#[test]
fn a_pad_outlives_dev_and_gets_what_it_missed_from_a_kept_log() {
    let data = tempfile::tempdir().expect("a directory");
    let flags = ["--data", data.path().to_str().expect("UTF-8")];
    let dev = Dev::start(&flags);
    let offset = dev.offset;
    let open = |transport| dev.pads[0].open(transport);
    let pads: Vec<_> = TRANSPORTS.into_iter().map(open).collect();
    pads.iter().for_each(|pad| drop(pad.event("snapshot")));
    dev.curl();
    pads.iter().for_each(|pad| assert_eq!(pad.event("update")["position"], "1"));
    assert_eq!(dev.interrupt().0, Some(0));

    let dev = Dev::start_at(offset, &flags);
    dev.curl();
    for pad in pads {
        let snapshot = pad.event("snapshot");
        assert_eq!((&snapshot["resumed"], &snapshot["position"]), (&Value::from(true), &Value::from("1")));
        assert_eq!(pad.event("update")["position"], "2");
        assert_eq!(pad.interrupt().0, Some(0));
    }
}

#[test]
fn the_printed_token_line_opens_one_more_pad_also_where_a_path_has_blanks() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("a shop's $HOME");
    let dev = Dev::start(&["--data", data.to_str().expect("UTF-8")]);
    let pad = dev.one_more_pad().open("grpc-web");
    pad.event("snapshot");
    let answer = dev.curl();
    assert_eq!(pad.event("update")["call"]["id"], answer["call_id"]);
}

#[test]
fn a_key_and_a_token_from_files_open_a_pad() {
    let dev = Dev::start(&[]);
    let directory = tempfile::tempdir().expect("a directory");
    let in_file = |name: &str, text: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let token = in_file("token", format!("{}\r\n", dev.pads[0].token()));
    let mut command = program::ringpad(&["pad", "--json", "--token-file", &token, "--url", &dev.pads[0].url]);
    // The file goes before the environment.
    command.env("PAD_TOKEN", "x.y.z");
    Program::run(command).event("snapshot");

    let key = "a-key-of-32-bytes-or-more-in-a-file";
    let file = in_file("key", format!("{key}\n"));
    let minted = |flags: &[&str]| {
        let (code, token, printed) =
            output(program::ringpad(&[&["token", "--store", "a", "--pad", "b"], flags].concat()));
        assert_eq!((code, token.split('.').count()), (Some(0), 3), "{printed}");
    };
    minted(&["--token-file", &file]);
    minted(&["--pad-token-secret", key]);
    let short = in_file("short", "hunter2\n".to_owned());
    let (code, _, printed) =
        output(program::ringpad(&["token", "--store", "a", "--pad", "b", "--token-file", &short]));
    assert_eq!((code, printed.lines().count()), (Some(2), 1), "{printed}");
    assert!(printed.contains("--token-file") && !printed.contains("hunter2"), "{printed}");
}

#[test]
fn the_first_commands_of_integrate_md_pop_once_and_end_the_call() {
    let document = include_str!("../../../docs/integrate.md");
    let (_, section) = document.split_once("\n## Call records over HTTP\n").expect("the section is there");
    let (_, commands) = section.split_once("\n```sh\n").expect("a block of commands");
    let (commands, _) = commands.split_once("\n```\n").expect("its end");
    let dev = Dev::start(&[]);
    let pad = dev.pads[0].open("grpc-web");
    pad.event("snapshot");
    let mut shell = Command::new("sh");
    shell.args(["-euc", &commands.replace("http://127.0.0.1:8080", &dev.http())]);
    let (code, printed, complaints) = output(shell);
    assert_eq!(code, Some(0), "{complaints}");
    let answers = serde_json::Deserializer::from_str(&printed).into_iter::<Value>();
    let statuses: Vec<_> = answers.map(|answer| answer.expect("JSON")["status"].clone()).collect();
    assert_eq!(statuses, ["accepted", "duplicate", "accepted"]);
    let (ring, end) = (pad.event("update"), pad.event("update"));
    assert!(ring["popUntil"].is_string(), "{ring}");
    assert_eq!(ring["call"]["id"], end["call"]["id"]);
    assert_eq!(
        (&end["call"]["state"], &end["call"]["memo"]),
        (&"CALL_STATE_COMPLETED".into(), &"세차 예약".into())
    );
}

#[test]
fn the_output_for_people_shows_who_calls() {
    let dev = Dev::start(&[]);
    let pad = dev.pads[0].open_for_people();
    pad.line("the snapshot", |line| line.contains("행복세차 강남점: connected"));
    dev.ring("0507-1234-5678", "01012345678", &[]);
    let line = pad.line("the ring", |line| line.contains("RINGING"));
    assert!(line.contains("010-1234-5678") && line.contains("first call"), "{line}");
    dev.ring("0507-1234-5678", "01012345678", &[]);
    pad.line("the second ring", |line| line.contains("1 call before"));
}

#[test]
fn a_bad_token_ends_a_pad_with_one_line_on_every_transport() {
    let dev = Dev::start(&[]);
    for transport in TRANSPORTS {
        let pad =
            Program::start(&["pad", "--token", "x.y.z", "--transport", transport, "--url", &dev.pads[0].url]);
        let (code, remarks) = pad.end();
        assert_eq!((code, remarks.lines().count()), (Some(1), 1), "{transport}: {remarks}");
        assert!(remarks.contains("token") && !remarks.contains("x.y.z"), "{transport}: {remarks}");
    }
}

#[test]
fn a_port_in_use_is_named_with_the_flag_for_others() {
    let dev = Dev::start(&[]);
    let (code, remarks) = Program::start(&["dev", "--port-offset", &dev.offset.to_string()]).end();
    assert_eq!((code, remarks.lines().count()), (Some(1), 1), "{remarks}");
    assert!(
        remarks.contains(&(8080 + dev.offset).to_string()) && remarks.contains("--port-offset"),
        "{remarks}"
    );
}

#[test]
fn stores_are_imported_whole_or_not_at_all() {
    let dev = Dev::start(&[]);
    let directory = tempfile::tempdir().expect("a directory");
    let import = |text: &str, flags: &[&str]| {
        let file = directory.path().join("stores.csv");
        fs::write(&file, format!("store_id,name,virtual_number,line\n{text}")).expect("written");
        dev.stores(&[&["import", file.to_str().expect("UTF-8")], flags].concat())
    };
    let ids = || {
        let (_, list, _) = dev.stores(&["list", "--json"]);
        let id = |line: &str| serde_json::from_str::<Value>(line).map(|store| store["id"].clone());
        list.lines()
            .map(|line| id(line).expect("JSON").as_str().expect("an id").to_owned())
            .collect::<Vec<_>>()
    };

    let (code, _, faults) = import("new,새 가게,0507-3333-4444,\nx y,B,abc,\nthief,C,0507-1234-5678,\n", &[]);
    assert_eq!(code, Some(1));
    let told: Vec<_> = faults.lines().map(|line| line.contains("stores.csv: line")).collect();
    assert!(told.len() >= 4 && faults.contains("line 3") && faults.contains("line 4"), "{faults}");
    assert!(faults.contains("--move") && faults.contains("nothing is imported"), "{faults}");
    assert_eq!(ids(), ["gangnam", "mapo"]);

    let moved = "new,새 가게,0507-3333-4444,\nnew,,0507-1234-5678,\n";
    let (code, printed, _) = import(moved, &["--move", "--dry-run"]);
    assert_eq!((code, printed.as_str()), (Some(0), "1 would be created, 0 changed, 0 unchanged\n"));
    assert_eq!(ids(), ["gangnam", "mapo"]);
    let (code, printed, _) = import(moved, &["--move"]);
    assert_eq!((code, printed.as_str()), (Some(0), "1 created, 0 changed, 0 unchanged, 0 failed\n"));
    let (code, printed, _) = import(moved, &[]);
    assert_eq!((code, printed.as_str()), (Some(0), "0 created, 0 changed, 1 unchanged, 0 failed\n"));
    let (_, table, _) = dev.stores(&["list"]);
    let row = table.lines().find(|row| row.starts_with("new")).unwrap_or_default();
    assert!(
        row.contains("0507-1234-5678") && row.contains("0507-3333-4444") && row.ends_with("새 가게"),
        "{table}"
    );

    assert_eq!(dev.stores(&["remove", "new"]).0, Some(0));
    let (code, _, printed) = dev.stores(&["remove", "new"]);
    assert_eq!(code, Some(1));
    assert!(printed.contains("no store"), "{printed}");
    assert_eq!(ids(), ["gangnam", "mapo"]);
}

#[test]
fn an_import_reads_what_spreadsheets_save_and_reports_all_faults_at_once() {
    let dev = Dev::start(&[]);
    let import = |bytes: &[u8]| program::output_of(dev.stores_command(&["import", "-"]), bytes);
    let name_of = |id: &str| {
        let (_, list, _) = dev.stores(&["list", "--json"]);
        let stores = list.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        stores.filter(|store| store["id"] == *id).map(|store| store["name"].clone()).next()
    };
    let created = (Some(0), "1 created, 0 changed, 0 unchanged, 0 failed\n".to_owned(), String::new());

    // "행복", in what a Korean Excel saves.
    let cp949 = b"store_id,name,virtual_number,line\r\ncp949,\xc7\xe0\xba\xb9,0507-4444-0001,\r\n";
    let (code, printed, remark) = import(cp949);
    assert_eq!((code, &printed, remark.as_str()), (Some(0), &created.1, "standard input: read as CP949\n"));
    assert_eq!(name_of("cp949"), Some("행복".into()));
    let semicolons = "\u{feff}store_id;name;virtual_number;line\nsemicolons;세차, 행복;0507-4444-0002;\n";
    assert_eq!(import(semicolons.as_bytes()), created);
    assert_eq!(name_of("semicolons"), Some("세차, 행복".into()));
    let tabs = "store_id\tname\tvirtual_number\tline\ntabs\t세차\t0507-4444-0003\t\n";
    let utf_16: Vec<_> = format!("\u{feff}{tabs}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(import(&utf_16), created);
    assert_eq!(name_of("tabs"), Some("세차".into()));

    let faulty = "store_id,name,virtual_number,line\n\
        a,A,0507-5555-0001,02-555-5501\n\
        a,Other,0507-5555-000x,\n\
        b,B,+82 507-5555-0001,\n\
        c d,,,\n\
        e,E\n\
        f,F,0507-1234-5678,\n";
    let (code, printed, faults) = import(faulty.as_bytes());
    assert_eq!((code, printed.as_str()), (Some(1), ""));
    let expected = [
        "line 3: name: \"Other\", but the same store is \"A\" above",
        "line 3: virtual_number: \"0507-5555-000x\" is not a phone number; digits are expected, e.g. 0507-1234-5678",
        "line 4: virtual_number: 0507-5555-0001 is also store \"a\"'s; a number belongs to one store (line 2)",
        "line 5: name: \"\" is not a valid name: 1–100 printable characters are expected",
        "line 5: store_id: \"c d\" is not a valid store id: 1–64 characters of A–Z a–z 0–9 . _ - are expected",
        "line 5: virtual_number, line: one of them is expected",
        "line 6: 4 fields are expected, there are 2",
        "line 7: virtual_number: 0507-1234-5678 belongs to store \"gangnam\"; set move_numbers to move it (here: --move)",
    ];
    let mut told: Vec<_> = faults.lines().filter_map(|line| line.strip_prefix("standard input: ")).collect();
    told.sort_unstable();
    assert_eq!(told, expected, "{faults}");
    assert!(faults.ends_with("ringpad: standard input: 8 faults, nothing is imported\n"), "{faults}");
    assert_eq!(name_of("a"), None);
}

#[test]
fn a_ring_that_is_not_a_valid_cdr_is_refused_in_words() {
    let dev = Dev::start(&[]);
    let url = dev.http();
    let ring = |flags: &[&str]| {
        let output = ringpad(&[&["ring", "--from", "010-1234-5678", "--url", &url], flags].concat());
        program::output(output)
    };
    let (code, _, printed) = ring(&["--vn", ""]);
    assert_eq!((code, printed.lines().count()), (Some(1), 1), "{printed}");
    assert!(printed.contains("422") && printed.contains("vn: "), "{printed}");
    let (code, _, printed) = ring(&["--vn", OTHER_NUMBER, "--source", "nobody"]);
    assert!(code == Some(1) && printed.contains("404"), "{printed}");
    for (flags, records) in [(&[][..], 1), (&["--end-after", "10ms"][..], 2)] {
        let (code, printed, why) = ring(&[&["--vn", "0507-9999-9999"], flags].concat());
        assert_eq!(
            (code, printed.matches("unrouted ").count(), why.lines().count()),
            (Some(1), records, 1),
            "{printed}"
        );
        assert!(why.contains("no store owns this virtual number") && why.contains("stores list"), "{why}");
    }
}

#[test]
fn a_command_whose_output_is_no_longer_read_ends_without_an_error() {
    let dev = Dev::start(&[]);
    let (http, grpc) = (dev.http(), format!("http://127.0.0.1:{}", 50_051 + dev.offset));
    let secret = "a-secret-of-32-bytes-or-more-for-this-test";
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("stores.csv");
    fs::write(&file, "store_id,name,virtual_number,line\nnew,새 가게,0507-3333-4444,\n").expect("written");
    let file = file.to_str().expect("UTF-8");
    let ring =
        ["ring", "--vn", OTHER_NUMBER, "--from", "010-1234-5678", "--url", &http, "--end-after", "10ms"];
    let pad = &dev.pads[0];
    let token = pad.token();
    for arguments in [
        &["--help"][..],
        &["stores", "--help"],
        &["--version"],
        &["stores", "list", "--ingest-url", &grpc],
        &["stores", "list", "--json", "--ingest-url", &grpc],
        &["stores", "import", file, "--ingest-url", &grpc],
        &["quarantine", "list", "--ingest-url", &grpc],
        &["token", "--pad-token-secret", secret, "--store", "gangnam", "--pad", "counter"],
        &ring,
        &["pad", "--token", &token, "--url", &pad.url],
        &["pad", "--token", &token, "--url", &pad.url, "--json"],
    ] {
        assert_eq!(program::unread(ringpad(arguments)), (Some(0), String::new()), "{arguments:?}");
    }
    // What was to be done was done.
    assert!(dev.stores(&["list"]).1.contains("새 가게"));
    let calls =
        dev.pads.iter().find(|pad| pad.store != dev.pads[0].store).expect("the other store").open("grpc-web");
    assert_eq!(calls.event("snapshot")["position"], "2", "the ring and its end");
    // An error is one all the same, though nobody reads that either.
    assert_eq!(program::unheard(ringpad(&["stores", "remove", "nowhere", "--ingest-url", &grpc])), Some(1));
    assert_eq!(program::unheard(ringpad(&["stores", "remove"])), Some(2));
    assert_eq!(
        program::unheard(ringpad(&["ring", "--vn", "0507-9999-9999", "--from", "x", "--url", &http])),
        Some(1)
    );
}
