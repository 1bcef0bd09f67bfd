//! What a record's instants may be.

use super::*;

#[test]
fn what_stands_for_no_instant_is_none() {
    for nothing in [
        "",
        " ",
        "0",
        "-0",
        "0.0",
        "00000000",
        "00000000000000",
        "0000-00-00 00:00:00",
        "0000-00-00T00:00:00.000Z",
        "-",
        "--",
        "null",
        "NULL",
        "(null)",
        "None",
        "N/A",
        "undefined",
        // The first and the last dates of .NET, Go, SQL, Windows, Excel and Unix; that in Seoul.
        "00010101000000",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+09:00",
        "16010101000000",
        "17530101000000",
        "18991230000000",
        "19000101000000",
        "19700101000000",
        "19700101090000",
        "1970-01-01 00:00:00",
        "99991231235959",
        "9999-12-31 23:59:59.997",
    ] {
        let open = ring_with(&[("edt", nothing), ("swidt", nothing)]);
        let cdr = parse(&open).unwrap_or_else(|faults| panic!("{nothing:?}: {faults}"));
        assert_eq!((cdr.edt(), cdr.swidt(), cdr.is_final()), (None, None, false), "{nothing:?}");
        assert_eq!(
            cdr.fingerprint(),
            parse(RING).unwrap().fingerprint(),
            "{nothing:?}: as if it were left out"
        );

        let sources = Sources::open();
        let source = sources.get("bizcall").unwrap();
        let missed = raw(&ring_with(&[("edt", "20261123142612"), ("swidt", nothing)]));
        let record = Record::parse(missed, source, received_at()).unwrap();
        assert!(record.cdr.is_final() && !record.answered, "{nothing:?}");
    }
    for (nothing, answered) in [("0", false), ("00000000000000", false), ("null", false), ("7", true)] {
        let toml = "[[source]]\nname = \"a\"\nopen = true\nanswered_by = \"talk\"";
        let sources = Sources::parse(toml).unwrap();
        let fields = raw(&ring_with(&[("edt", "20261123142612"), ("talk", nothing)]));
        let record = Record::parse(fields, sources.get("a").unwrap(), received_at()).unwrap();
        assert_eq!((record.answered, record.cdr.other()["talk"].as_str()), (answered, nothing));
    }
}

#[test]
fn how_far_a_record_is_ahead_is_judged_in_the_sources_time_zone() {
    // 14:55:30 in Seoul is 00:55:30 of the same day in New York.
    let row = |sdt| ring_with(&[("sdt", sdt)]);
    assert!(parse_at("America/New_York", &row("20261124005530")).is_ok());
    let Err(faults) = parse_at("America/New_York", &row("20261124005531")) else { panic!("it is ahead") };
    assert_eq!(faults.0[0].field, "sdt");
}

#[test]
fn when_clocks_are_put_back_a_call_does_not_end_before_it_begins() {
    // 1:30 was at UTC-4 and again at UTC-5; 1:59 to 1:05 only fits over the change.
    let changes = [("sdt", "20261101015900"), ("swidt", "20261101010200"), ("edt", "20261101010500")];
    let cdr = parse_at("America/New_York", &ring_with(&changes)).unwrap();
    assert_eq!(cdr.sdt(), instant("2026-11-01T01:59:00-04:00"));
    assert_eq!(cdr.swidt(), Some(instant("2026-11-01T01:02:00-05:00")));
    assert_eq!(cdr.edt(), Some(instant("2026-11-01T01:05:00-05:00")));
}
