//! How alike two cells are, word by word, whatever their order: words that are the same, differ by a slip of
//! the hand, or are the initial of one another.

use super::words::{Word, Words};

/// Below it two cells are of two persons, whatever the others say.
pub(super) const LEAST: f64 = 0.6;

/// What a letter that differs weighs, against one that is the same.
const SLIP: f64 = 1.5;

/// From 0 (nothing in common) to 1 (the same words): the share of letters that have their like on the other
/// side, halfway to that share of the shorter cell alone, for what one leaves out says less than what differs.
pub(super) fn alike(a: &[Word], b: &[Word], words: &Words) -> f64 {
    let (mut left, mut right) = (a.to_vec(), b.to_vec());
    let mut matched = 0.0;
    let mut pairs = 0;
    left.retain(|word| {
        let Some(at) = right.iter().position(|other| other == word) else {
            return true;
        };
        right.swap_remove(at);
        matched += 2.0 * weight(words.text(*word));
        pairs += 1;
        false
    });
    // The best pairs first: which word is whose does not hang on their order.
    let mut likes: Vec<(f64, Word, Word)> = Vec::new();
    for a in &left {
        for b in &right {
            let like = like(words.text(*a), words.text(*b));
            if like > 0.0 {
                likes.push((like, *a, *b));
            }
        }
    }
    likes.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    for (like, a, b) in likes {
        let places = left.iter().position(|word| *word == a);
        let places = places.zip(right.iter().position(|word| *word == b));
        if let Some((at, other)) = places {
            left.swap_remove(at);
            right.swap_remove(other);
            matched += like * (weight(words.text(a)) + weight(words.text(b)));
            pairs += 1;
        }
    }
    // A house's number is its own.
    let has_number = |left: &[Word]| left.iter().any(|word| is_number(words.text(*word)));
    if has_number(&left) && has_number(&right) {
        return 0.0;
    }
    let sum = |cell: &[Word]| {
        cell.iter()
            .map(|word| weight(words.text(*word)))
            .sum::<f64>()
    };
    // What one leaves out says little; where both have something else, they speak of two.
    matched -= 2.0 * sum(&left).min(sum(&right));
    let (a, b) = (sum(a), sum(b));
    let of_both = ratio(matched, a + b).max(0.0);
    // One word that stands in both may be anybody's.
    let of_shorter = match pairs {
        0 | 1 => of_both,
        _ => ratio(matched / 2.0, a.min(b)).clamp(0.0, 1.0),
    };
    f64::midpoint(of_both, of_shorter)
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn weight(word: &str) -> f64 {
    let letters = u32::try_from(word.chars().count()).unwrap_or(u32::MAX);
    f64::from(letters)
}

fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
}

/// Of two words that differ: how far the one may be meant by the other, 0 where it may not.
fn like(a: &str, b: &str) -> f64 {
    if is_number(a) || is_number(b) {
        return 0.0;
    }
    let (a_letters, b_letters) = (a.chars().count(), b.chars().count());
    let (shorter, longer) = (a_letters.min(b_letters), a_letters.max(b_letters));
    if shorter == 1 {
        let initial = longer > 1 && a.chars().next() == b.chars().next();
        return if initial { 0.6 } else { 0.0 };
    }
    let slips = match longer {
        0..=3 => return 0.0,
        4..=7 => 1,
        _ => 2,
    };
    if longer - shorter > slips {
        return 0.0;
    }
    let distance = strsim::osa_distance(a, b);
    // In a short word another letter makes another name: Mary, Mark. One too many, or two that changed places, don't.
    let other_name = longer < 5 && a_letters == b_letters && !same_letters(a, b);
    if distance > slips || other_name {
        return 0.0;
    }
    let share = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    1.0 - SLIP * ratio(share(distance), share(longer))
}

fn same_letters(a: &str, b: &str) -> bool {
    let sorted = |word: &str| {
        let mut letters: Vec<char> = word.chars().collect();
        letters.sort_unstable();
        letters
    };
    sorted(a) == sorted(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likeness(a: &str, b: &str) -> f64 {
        let mut words = Words::default();
        let mut cell =
            |text: &str| -> Vec<Word> { text.split(' ').map(|word| words.take(word)).collect() };
        let (a, b) = (cell(a), cell(b));
        let (there, back) = (alike(&a, &b, &words), alike(&b, &a, &words));
        assert!((there - back).abs() < 1e-9, "the same from either side");
        there
    }

    #[test]
    fn slips_orders_and_initials_are_alike() {
        for (a, b) in [
            ("ann lee", "lee ann"),
            ("john smith", "jon smith"),
            ("john smith", "jonh smith"),
            ("katherine oneil", "catherine oneil"),
            ("j smith", "john smith"),
            ("12 oak street", "12 oak street davis ca 95616"),
        ] {
            assert!(likeness(a, b) > 0.8, "{a}, {b}: {}", likeness(a, b));
        }
        assert!((likeness("ann lee", "lee ann") - 1.0).abs() < 1e-9);
    }

    #[test]
    fn others_are_not() {
        for (a, b) in [
            ("mary smith", "mark smith"),
            ("jan smith", "jon smith"),
            ("ann lee", "bob lee"),
            ("smith", "anna smith"),
            ("12 oak street", "14 oak street"),
            ("christopher li", "christine li"),
        ] {
            assert!(likeness(a, b) < 0.75, "{a}, {b}: {}", likeness(a, b));
        }
    }
}
