//! Korea's numbering plan, as far as it is needed to find a number's parts and its end.

/// The country's code.
pub(super) const CODE: &str = "82";
/// The most digits that a number has without country code and trunk 0.
const LONGEST: usize = 11;
/// Digits of the shortest number that is not a service number.
pub(super) const SHORTEST: usize = 8;

/// Whether digits, given without country code and trunk 0, begin with an area or a service that has numbers: 1 to 7, or 80.
/// 81 to 88 may be a carrier's code, 0 a foreign country.
pub(super) fn has_area(significant: &str) -> bool {
    matches!(significant.as_bytes().first(), Some(b'1'..=b'7')) || significant.starts_with("80")
}

/// Whether digits may be a number with its area. What follows them may then not belong to it.
pub(super) fn is_complete(significant: &str) -> bool {
    has_area(significant) && (shortest(significant)..=LONGEST).contains(&significant.len())
}

/// Whether the number of digits is right for a number with its area, or for a representative number.
pub(super) fn is_plausible(significant: &str) -> bool {
    let alone = is_dialled_alone(significant) && !is_representative(significant);
    has_area(significant) && (SHORTEST..=LONGEST).contains(&significant.len()) && !alone
}

/// Eight digits that are dialled without an area, e.g. 1588-1234.
pub(super) fn is_representative(significant: &str) -> bool {
    significant.len() == 8 && ["15", "16", "18"].iter().any(|prefix| significant.starts_with(prefix))
}

/// Whether a number never has a trunk 0: short codes, and eight digits that look like a representative number.
pub(super) fn is_dialled_alone(significant: &str) -> bool {
    significant.len() < SHORTEST || (significant.len() == 8 && significant.starts_with('1'))
}

/// A mobile number that has lost its trunk 0.
pub(super) fn is_mobile(significant: &str) -> bool {
    significant.len() == 10 && significant.starts_with("10")
}

/// A service of one region, e.g. 031-120: the only short numbers that are written with a trunk 0.
fn is_regional_service(significant: &str) -> bool {
    let region = matches!(
        significant.as_bytes(),
        [b'3', b'1'..=b'3', b'1', ..] | [b'4' | b'6', b'1'..=b'4', b'1', ..] | [b'5', b'1'..=b'5', b'1', ..]
    );
    region && (5..=6).contains(&significant.len())
}

/// The number of digits of the shortest number that begins like this one.
fn shortest(significant: &str) -> usize {
    match significant.as_bytes() {
        [b'2', ..] | [b'1', b'5' | b'6' | b'8', ..] => 8,
        [b'5' | b'3', b'0', ..] => 10,
        _ => 9,
    }
}

/// A number as people in Korea write it. libphonenumber writes 0507-1234-5678 as `050-71234-5678`, and 0303-1234-5678
/// without any group.
pub(super) fn written(significant: &str) -> String {
    let length = significant.len();
    if is_regional_service(significant) {
        return format!("0{}-{}", &significant[..2], &significant[2..]);
    }
    if is_representative(significant) {
        return format!("{}-{}", &significant[..4], &significant[4..]);
    }
    if is_dialled_alone(significant) {
        return significant.to_owned();
    }
    let area = if significant.starts_with('2') {
        1
    } else if (significant.starts_with("50") || significant.starts_with("30")) && length >= 10 {
        3
    } else {
        2
    };
    let (area, local) = significant.split_at(area);
    if !(7..=8).contains(&local.len()) {
        return format!("0{significant}");
    }
    let (exchange, subscriber) = local.split_at(local.len() - 4);
    format!("0{area}-{exchange}-{subscriber}")
}
