//! Texts by number: each is kept once, and how many items have it is known.

use std::collections::HashMap;
use std::sync::Arc;

/// A text's number.
pub(super) type Word = u32;

#[derive(Debug, Default)]
pub(super) struct Words {
    numbers: HashMap<Arc<str>, Word>,
    known: Vec<Known>,
}

/// What is known of a word.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) text: Arc<str>,
    /// How often it was taken.
    pub(super) used: u32,
    /// How many letters it has.
    pub(super) letters: u16,
    /// Which: a bit each, several letters share one.
    pub(super) letter_set: u32,
    /// It begins with a digit.
    pub(super) is_number: bool,
}

impl Known {
    fn new(text: Arc<str>) -> Known {
        Known {
            used: 0,
            letters: u16::try_from(text.chars().count()).unwrap_or(u16::MAX),
            letter_set: text
                .chars()
                .fold(0, |set, c| set | 1 << (u32::from(c) % 32)),
            is_number: text.starts_with(|c: char| c.is_ascii_digit()),
            text,
        }
    }
}

impl Words {
    /// Its number; it is used once more.
    pub(super) fn take(&mut self, text: &str) -> Word {
        let known = self.numbers.get(text).copied();
        let word = known.unwrap_or_else(|| {
            let text: Arc<str> = text.into();
            let word = Word::try_from(self.known.len()).unwrap_or(Word::MAX);
            self.numbers.insert(Arc::clone(&text), word);
            self.known.push(Known::new(text));
            word
        });
        if let Some(known) = self.known.get_mut(place(word)) {
            known.used += 1;
        }
        word
    }

    pub(super) fn get(&self, word: Word) -> Option<&Known> {
        self.known.get(place(word))
    }

    pub(super) fn text(&self, word: Word) -> &str {
        self.get(word).map_or("", |known| &known.text)
    }

    /// How often it was taken.
    pub(super) fn used(&self, word: Word) -> u32 {
        self.get(word).map_or(0, |known| known.used)
    }
}

fn place(word: Word) -> usize {
    usize::try_from(word).unwrap_or(usize::MAX)
}
