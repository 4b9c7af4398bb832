//! The id of the item that a row becomes. It follows from the job and the row alone, so the same row
//! read twice (after a kill, by two workers) is the same item, and the primary key is a second wall
//! against doubles. Ids rise with the row, so a list keeps the order of its file.

use uuid::Uuid;

use crate::ids::{ItemId, JobId};

/// Most rows one job may read: the room for them in an id.
pub const MAX_ROWS: u64 = u32::MAX as u64;

const ROW_LOW_BITS: u32 = 20;
const TIME: u128 = 0xFFFF_FFFF_FFFF << 80;
const VERSION_AND_VARIANT: u128 = (0x7 << 76) | (0b10 << 62);
const JOB_TAIL: u128 = (1 << (62 - ROW_LOW_BITS)) - 1;

/// A UUIDv7 (RFC 9562, section 6.2, method 1: a counter after the time): the job's time, 32 bits of
/// row number, 42 random bits of the job's id. `row` counts from 1.
pub fn item_id(job: JobId, row: u32) -> ItemId {
    let job = job.uuid().as_u128();
    let row = u128::from(row);
    let high = (row >> ROW_LOW_BITS) << 64;
    let low = (row & ((1 << ROW_LOW_BITS) - 1)) << (62 - ROW_LOW_BITS);
    ItemId(Uuid::from_u128(
        (job & TIME) | VERSION_AND_VARIANT | high | low | (job & JOB_TAIL),
    ))
}

/// The row that became this item.
pub fn row_of(item: ItemId) -> u32 {
    let id = item.uuid().as_u128();
    let high = (id >> 64 << ROW_LOW_BITS) & (0xFFF << ROW_LOW_BITS);
    let low = (id >> (62 - ROW_LOW_BITS)) & ((1 << ROW_LOW_BITS) - 1);
    u32::try_from(high | low).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_are_version_7_and_rise_with_the_row(seed in any::<u128>(), a in any::<u32>(), b in any::<u32>()) {
            let job = JobId(uuid::Builder::from_u128(seed).with_version(uuid::Version::SortRand).with_variant(uuid::Variant::RFC4122).into_uuid());
            let (first, second) = (item_id(job, a), item_id(job, b));
            prop_assert_eq!(a.cmp(&b), first.cmp(&second));
            prop_assert_eq!((row_of(first), row_of(second)), (a, b));
            prop_assert_eq!(first.uuid().get_version_num(), 7);
            prop_assert_eq!(first.uuid().get_variant(), uuid::Variant::RFC4122);
            prop_assert_eq!(first.uuid().as_u128() >> 80, job.uuid().as_u128() >> 80);
        }

        #[test]
        fn two_jobs_of_one_instant_share_no_id(tail in any::<u64>(), other in any::<u64>(), row in any::<u32>()) {
            prop_assume!(tail & 0x3FF_FFFF_FFFF != other & 0x3FF_FFFF_FFFF);
            let job = |tail: u64| JobId(Uuid::from_u128((0x0193 << 112) | (7 << 76) | (2 << 62) | u128::from(tail >> 2)));
            prop_assume!(job(tail).uuid().as_u128() & JOB_TAIL != job(other).uuid().as_u128() & JOB_TAIL);
            prop_assert_ne!(item_id(job(tail), row), item_id(job(other), row));
        }
    }
}
