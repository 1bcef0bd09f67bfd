//! How an import is divided into transactions.

/// Divides a list into parts of a weight up to `most`. An item of more weight is a part by itself.
pub(super) fn parts<T>(mut all: &[T], most: usize, weight: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let mut parts = Vec::new();
    while !all.is_empty() {
        let mut sum = 0;
        let fitting = all.iter().take_while(|item| {
            sum += weight(item);
            sum <= most
        });
        let (part, rest) = all.split_at(fitting.count().max(1));
        parts.push(part);
        all = rest;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn a_part_has_at_most_its_weight_unless_one_item_has_more() {
        let cut = |all: &[usize]| {
            parts(all, 10, |item| *item).into_iter().map(<[usize]>::to_vec).collect::<Vec<_>>()
        };
        assert_eq!(
            cut(&[4, 6, 1, 20, 20, 9, 2]),
            [vec![4, 6], vec![1], vec![20], vec![20], vec![9], vec![2]]
        );
        assert!(cut(&[]).is_empty());
    }
}
