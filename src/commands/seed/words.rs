//! The words that the agency is made of: towns, streets, names, phrases.

/// The towns, and how many of 100 homes are in each.
pub const TOWNS: &[(Town, u64)] = &[
    (
        town(
            "Sacramento",
            &[
                "95814", "95816", "95818", "95819", "95822", "95831", "95838",
            ],
            345,
        ),
        30,
    ),
    (town("Elk Grove", &["95624", "95757", "95758"], 305), 13),
    (town("Roseville", &["95661", "95678", "95747"], 330), 12),
    (town("Folsom", &["95630"], 372), 7),
    (town("Rancho Cordova", &["95670", "95742"], 300), 7),
    (town("Citrus Heights", &["95610", "95621"], 292), 6),
    (town("Davis", &["95616", "95618"], 455), 5),
    (town("Rocklin", &["95677", "95765"], 338), 5),
    (town("Carmichael", &["95608"], 318), 4),
    (town("Lincoln", &["95648"], 296), 3),
    (town("Woodland", &["95695", "95776"], 284), 3),
    (town("Auburn", &["95603"], 327), 2),
    (town("Galt", &["95632"], 268), 2),
    (town("Placerville", &["95667"], 281), 1),
];

#[rustfmt::skip]
pub const STREETS: &[&str] = &[
    "Alder", "American River", "Arroyo Vista", "Bruceville", "Cedar Ridge", "Chestnut",
    "Creekside", "Del Paso", "Elm", "Fair Oaks", "Foothill", "Franklin", "Garden Highway",
    "Goethe", "Hazel", "Heritage Oak", "J", "Kiefer", "Laguna", "Land Park", "Larkspur",
    "Magnolia", "Manzanita", "Meadow Gate", "Mission", "Natoma", "Oak Hollow", "Old Ranch",
    "Orchard", "Pebble Beach", "Poppy", "Quail Run", "Redwood", "Riverside", "Shasta",
    "Sierra View", "Stonebrook", "Sutter", "Sycamore", "Timber Creek", "Valley Oak", "Walnut",
    "Willow Glen", "Winding",
];
/// Kinds of streets, and how common they are.
pub const WAYS: &[(&str, u64)] = &[
    ("St", 22),
    ("Ave", 20),
    ("Dr", 20),
    ("Way", 18),
    ("Ct", 12),
    ("Ln", 5),
    ("Cir", 3),
];
#[rustfmt::skip]
pub const FIRST_NAMES: &[&str] = &[
    "Aaliyah", "Adam", "Aisha", "Alejandro", "Amelia", "Ana", "Andre", "Anh", "Anthony",
    "Beatriz", "Benjamin", "Camila", "Carlos", "Charlotte", "Chloe", "Daniel", "David", "Deepa",
    "Diego", "Elena", "Emily", "Ethan", "Fatima", "Gabriel", "Grace", "Hannah", "Hiro",
    "Isabella", "Jamal", "James", "Jasmine", "Joshua", "Julia", "Kenji", "Kevin", "Layla",
    "Leila", "Liam", "Linh", "Lucas", "Maria", "Marcus", "Mei", "Michael", "Nadia", "Natalie",
    "Noah", "Olivia", "Omar", "Priya", "Rachel", "Ravi", "Rosa", "Samuel", "Sofia", "Tanya",
    "Thomas", "Victor", "Wei", "Yusuf", "Zoe",
];
#[rustfmt::skip]
pub const LAST_NAMES: &[&str] = &[
    "Adams", "Ahmed", "Alvarez", "Anderson", "Baker", "Brooks", "Campbell", "Castillo", "Chang",
    "Chen", "Clark", "Cooper", "Cruz", "Davis", "Delgado", "Diaz", "Edwards", "Evans", "Flores",
    "Foster", "Garcia", "Gonzalez", "Gray", "Gupta", "Hall", "Harris", "Hernandez", "Hill",
    "Howard", "Hughes", "Johnson", "Khan", "Kim", "King", "Kowalski", "Lee", "Lewis", "Lopez",
    "Martin", "Martinez", "Mitchell", "Moore", "Morales", "Murphy", "Nakamura", "Nguyen",
    "O'Brien", "Okafor", "Ortiz", "Patel", "Perez", "Phillips", "Ramirez", "Reed", "Rivera",
    "Robinson", "Rossi", "Sanchez", "Santos", "Schmidt", "Scott", "Silva", "Singh", "Smith",
    "Stewart", "Tanaka", "Taylor", "Thompson", "Torres", "Tran", "Turner", "Vasquez", "Walker",
    "Washington", "White", "Williams", "Wilson", "Wong", "Wright", "Yamamoto", "Young",
];
pub const OPENINGS: &[&str] = &[
    "Light-filled home on a quiet street",
    "Freshly painted and move-in ready",
    "Well kept by one family since it was built",
    "Corner lot with mature trees",
    "Open floor plan with high ceilings",
    "Charming bungalow close to downtown",
    "Single story with a split layout",
    "Spacious rooms and generous storage",
];
pub const FEATURES: &[&str] = &[
    "quartz counters",
    "hardwood floors throughout",
    "a covered patio for summer evenings",
    "owned solar",
    "a primary suite on the ground floor",
    "dual-pane windows and central air",
    "a two-car garage with a workbench",
    "raised beds and fruit trees",
    "a remodeled hall bath",
    "space for a boat or an RV",
];
pub const PLACES: &[&str] = &[
    "Walk to parks and schools.",
    "Minutes to Highway 50.",
    "Near the American River Parkway.",
    "Light rail is four blocks away.",
    "Low HOA dues.",
    "No HOA.",
    "",
    "",
];
pub const SOURCES: &[&str] = &[
    "Referral",
    "Open house",
    "Web site",
    "Sign call",
    "Past client",
    "Portal",
];

/// A town and what homes cost there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Town {
    pub name: &'static str,
    pub postal_codes: &'static [&'static str],
    /// For a square foot of a home of middle age.
    pub dollars_a_foot: u64,
}

const fn town(
    name: &'static str,
    postal_codes: &'static [&'static str],
    dollars_a_foot: u64,
) -> Town {
    Town {
        name,
        postal_codes,
        dollars_a_foot,
    }
}
