//! The tables of limits in docs/reference.md, for the services' tests that compare them with the program.

use std::{collections::BTreeMap, time::Duration};

use crate::nginx::shipped_text;

/// Words that belong to the figure before them.
const UNITS: [&str; 7] = ["bytes", "KiB", "MiB", "MB", "ms", "s", "min"];

/// A row of a table, and all figures of its limit in their order, without commas and with their units.
pub type Row = (&'static str, Vec<String>);

/// Makes a [`Row`] of what it is about and of its figures.
#[macro_export]
macro_rules! limit {
    ($what:expr $(, $figure:expr)* $(,)?) => { ($what, vec![$($figure.to_string()),*]) };
}

/// Bytes in whole KiB.
pub fn kib(bytes: usize) -> String {
    format!("{} KiB", bytes / 1024)
}

/// Bytes in whole MiB.
pub fn mib(bytes: usize) -> String {
    format!("{} MiB", bytes / 1024 / 1024)
}

/// A duration in whole seconds.
pub fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

/// What each row of a table of limits is about, and the figures of its limit in their order.
type Limits = BTreeMap<String, Vec<String>>;

/// Compares the table of a program with its limits.
///
/// # Panics
/// A row without a limit, a limit without a row, or another figure.
pub fn assert_documented(program: &str, limits: Vec<Row>) {
    let expected: Limits = limits.into_iter().map(|(what, figures)| (what.to_owned(), figures)).collect();
    let differences = differences(&documented(&shipped_text("docs/reference.md"), program), &expected);
    assert!(differences.is_empty(), "docs/reference.md, limits of {program}:\n{}", differences.join("\n"));
}

fn differences(documented: &Limits, expected: &Limits) -> Vec<String> {
    let mut differences = Vec::new();
    for (what, figures) in expected {
        match documented.get(what) {
            None => differences.push(format!("no row {what:?} with {figures:?}")),
            Some(row) if row != figures => {
                differences.push(format!("{what:?}: {row:?}, but it is {figures:?}"))
            }
            Some(_) => {}
        }
    }
    let unknown = documented.keys().filter(|what| !expected.contains_key(*what));
    differences.extend(unknown.map(|what| format!("{what:?}: the program has no such limit")));
    differences
}

fn documented(reference: &str, program: &str) -> Limits {
    let heading = format!("\n### Limits of {program}\n");
    let (_, section) = reference.split_once(&heading).expect("the section");
    let rows = section.lines().take_while(|line| !line.starts_with('#'));
    // The header and the line below it.
    let rows = rows.filter_map(|line| line.strip_prefix("| ")).skip(2);
    rows.map(|row| {
        let mut cells = row.split(" | ");
        let what = cells.next().expect("what is limited").to_owned();
        (what, figures(cells.next().expect("its limit")))
    })
    .collect()
}

/// The figures in a text.
fn figures(text: &str) -> Vec<String> {
    let mut figures: Vec<String> = Vec::new();
    let mut words = text.split([' ', '(', ')', ':', ';']).peekable();
    while let Some(word) = words.next() {
        if !word.starts_with(|char: char| char.is_ascii_digit()) {
            continue;
        }
        let mut figure = word.trim_end_matches([',', '.']).replace(',', "");
        let unit = words.peek().map(|unit| unit.trim_end_matches([',', '.']));
        if let Some(unit) = unit.filter(|unit| UNITS.contains(unit)) {
            figure = format!("{figure} {unit}");
        }
        figures.push(figure);
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: &str = "
### Limits of ingest-svc

| what | limit | when it is reached | shown by |
| --- | --- | --- | --- |
| connections | 2,048 from providers, 512 each on the others | 503 | – |
| one message | 256 events (or 256 KiB); see `RETENTION` | – | – |

### Limits of push-svc

| streams | 8 | – | – |
";

    fn limits(rows: &[(&str, &[&str])]) -> Limits {
        let row = |(what, figures): &(&str, &[&str])| {
            ((*what).to_owned(), figures.iter().map(|figure| (*figure).to_owned()).collect())
        };
        rows.iter().map(row).collect()
    }

    #[test]
    fn a_missing_row_an_unknown_row_and_another_figure_are_found() {
        let documented = documented(REFERENCE, "ingest-svc");
        let same = limits(&[("connections", &["2048", "512"]), ("one message", &["256", "256 KiB"])]);
        assert_eq!(documented, same);
        assert!(differences(&documented, &same).is_empty());
        let other = limits(&[("connections", &["2048"]), ("one call", &[])]);
        assert_eq!(
            differences(&documented, &other),
            [
                r#""connections": ["2048", "512"], but it is ["2048"]"#,
                r#"no row "one call" with []"#,
                r#""one message": the program has no such limit"#
            ]
        );
    }
}
