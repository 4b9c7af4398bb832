//! What a simulated edit says about itself. Its `op` is a UUIDv7 (RFC 9562) that carries who sent
//! it and when it should have been sent, so that any socket can tell how long it took to arrive;
//! the number it writes is unique, so that the edit can be found in the log without its `op`.

use uuid::Uuid;

use super::clock::Moment;

const NONCE_BITS: u32 = 14;
const EDITOR_BITS: u32 = 16;
const COUNTER_BITS: u32 = 32;

/// One edit of one editor of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When the edit was due; what it waited before it was sent counts as its latency.
    pub intended: Moment,
    /// Which run; 14 bits.
    pub nonce: u16,
    pub editor: u16,
    pub counter: u32,
}

impl Stamp {
    /// 48 bits of milliseconds, version 7, the microseconds in `rand_a`; the variant, nonce,
    /// editor and counter in `rand_b`.
    pub fn op(&self) -> Uuid {
        let millis = self.intended.0 / 1000;
        let micros = self.intended.0 % 1000;
        let high = (millis << 16) | (7 << 12) | micros;
        let low = (2 << 62)
            | ((u64::from(self.nonce) & mask(NONCE_BITS)) << (EDITOR_BITS + COUNTER_BITS))
            | (u64::from(self.editor) << COUNTER_BITS)
            | u64::from(self.counter);
        Uuid::from_u64_pair(high, low)
    }

    /// Reads a stamp of this run back; `None` for the `op` of anyone else.
    pub fn read(op: Uuid, nonce: u16) -> Option<Self> {
        let (high, low) = op.as_u64_pair();
        let ours = op.get_version_num() == 7
            && bits(low, EDITOR_BITS + COUNTER_BITS, NONCE_BITS) == u64::from(nonce);
        ours.then_some(Self {
            intended: Moment((high >> 16) * 1000 + (high & mask(12))),
            nonce,
            editor: u16::try_from(bits(low, COUNTER_BITS, EDITOR_BITS)).ok()?,
            counter: u32::try_from(bits(low, 0, COUNTER_BITS)).ok()?,
        })
    }

    /// The number the edit writes: unique in its run, never 0, at most 15 digits.
    pub fn marker(&self) -> u64 {
        marker(self.editor, self.counter)
    }
}

/// See [`Stamp::marker`].
pub fn marker(editor: u16, counter: u32) -> u64 {
    (u64::from(editor) + 1) * 10_000_000_000 + u64::from(counter)
}

/// The nonce of a new run.
pub fn new_nonce() -> u16 {
    rand::random::<u16>() >> (16 - NONCE_BITS)
}

fn mask(width: u32) -> u64 {
    (1 << width) - 1
}

fn bits(value: u64, shift: u32, width: u32) -> u64 {
    (value >> shift) & mask(width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_op_carries_its_stamp_and_is_a_uuid_v7(
            intended in 1_600_000_000_000_000_u64..4_000_000_000_000_000,
            nonce in 0_u16..1 << 14, editor: u16, counter: u32,
        ) {
            let stamp = Stamp { intended: Moment(intended), nonce, editor, counter };
            let op = stamp.op();
            prop_assert_eq!(op.get_version_num(), 7);
            prop_assert_eq!(op.get_variant(), uuid::Variant::RFC4122);
            let (seconds, _) = op.get_timestamp().unwrap().to_unix();
            prop_assert_eq!(seconds, intended / 1_000_000);
            prop_assert_eq!(Stamp::read(op, nonce), Some(stamp));
            prop_assert_eq!(Stamp::read(op, nonce ^ 1), None);
            prop_assert!(stamp.marker() < 1_000_000_000_000_000);
        }

        #[test]
        fn markers_are_unique(a: (u16, u32), b: (u16, u32)) {
            prop_assert_eq!(marker(a.0, a.1) == marker(b.0, b.1), a == b);
        }
    }
}
