//! How alike two cells are, word by word, whatever their order: words that are the same, differ by a slip of
//! the hand, or are the initial of one another.

use super::words::{Known, Word, Words};

/// Below it two cells are of two persons, whatever the others say.
pub(super) const LEAST: f64 = 0.6;

/// What a letter that differs weighs, against one that is the same.
const SLIP: f64 = 1.5;

/// From 0 (nothing in common) to 1 (the same words): the share of letters that have their like on the other
/// side, halfway to that share of the shorter cell alone, for what one leaves out says less than what differs.
pub(super) fn alike(a: &[Word], b: &[Word], words: &Words) -> f64 {
    let known = |cell: &[Word]| -> Vec<&Known> {
        cell.iter().filter_map(|word| words.get(*word)).collect()
    };
    let (mut left, mut right) = (known(a), known(b));
    let (a, b) = (letters(&left), letters(&right));
    let mut matched = 0.0;
    let mut pairs = 0;
    left.retain(|word| {
        let Some(at) = right.iter().position(|other| std::ptr::eq(*other, *word)) else {
            return true;
        };
        right.swap_remove(at);
        matched += 2.0 * weight(word);
        pairs += 1;
        false
    });
    // A house's number is its own.
    let has_number = |left: &[&Known]| left.iter().any(|word| word.is_number);
    if has_number(&left) && has_number(&right) {
        return 0.0;
    }
    // The best pairs first: which word is whose does not hang on their order.
    let mut likes: Vec<(f64, &Known, &Known)> = Vec::new();
    for a in &left {
        let like = right.iter().map(|b| (like(a, b), *a, *b));
        likes.extend(like.filter(|(like, ..)| *like > 0.0));
    }
    likes.sort_by(|a, b| {
        b.0.total_cmp(&a.0)
            .then((&a.1.text, &a.2.text).cmp(&(&b.1.text, &b.2.text)))
    });
    for (like, a, b) in likes {
        let places = left.iter().position(|word| std::ptr::eq(*word, a));
        let places = places.zip(right.iter().position(|word| std::ptr::eq(*word, b)));
        if let Some((at, other)) = places {
            left.swap_remove(at);
            right.swap_remove(other);
            matched += like * (weight(a) + weight(b));
            pairs += 1;
        }
    }
    // What one leaves out says little; where both have something else, they speak of two.
    matched -= 2.0 * letters(&left).min(letters(&right));
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

fn letters(words: &[&Known]) -> f64 {
    words.iter().map(|word| weight(word)).sum()
}

fn weight(word: &Known) -> f64 {
    f64::from(word.letters)
}

/// Of two words that differ: how far the one may be meant by the other, 0 where it may not.
fn like(a: &Known, b: &Known) -> f64 {
    if a.is_number || b.is_number {
        return 0.0;
    }
    let (shorter, longer) = (a.letters.min(b.letters), a.letters.max(b.letters));
    if shorter == 1 {
        let initial = longer > 1 && a.text.chars().next() == b.text.chars().next();
        return if initial { 0.6 } else { 0.0 };
    }
    let slips = match longer {
        0..=3 => return 0.0,
        4..=7 => 1_u16,
        _ => 2,
    };
    // A slip changes two letters at most: whoever has more of their own is another word.
    let own_letters = (a.letter_set ^ b.letter_set).count_ones();
    if longer - shorter > slips || own_letters > 2 * u32::from(slips) {
        return 0.0;
    }
    let distance = strsim::osa_distance(&a.text, &b.text);
    let distance = u16::try_from(distance).unwrap_or(u16::MAX);
    // In a short word another letter makes another name: Mary, Mark. One too many, or two that changed places, don't.
    let other_name = longer < 5 && a.letters == b.letters && !same_letters(&a.text, &b.text);
    if distance > slips || other_name {
        return 0.0;
    }
    1.0 - SLIP * ratio(f64::from(distance), f64::from(longer))
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
