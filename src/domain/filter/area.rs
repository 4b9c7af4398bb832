//! Areas of the earth: the values of `within_box` and `within_km`.

use std::f64::consts::PI;

use serde::Deserialize;

use crate::domain::cell::Location;

/// The mean radius of the earth, in kilometres (IUGG).
const RADIUS: f64 = 6371.0088;
/// The longest distance that may be asked for, in kilometres: about half around the earth.
const MAX_KM: f64 = 20_000.0;
/// Degrees in radians, and halved ones.
pub const DEGREE: f64 = PI / 180.0;
pub const HALF_DEGREE: f64 = PI / 360.0;

/// From south to north and, eastward, from west to east; over the 180th meridian when west is the
/// larger. Its edges belong to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    pub south: f64,
    pub north: f64,
    pub west: f64,
    pub east: f64,
}

/// A circle on a sphere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Circle {
    pub lat: f64,
    pub lon: f64,
    /// The haversine of the angle from the centre to the edge: what [`haversine`](Circle::haversine)
    /// of a place within is at most.
    pub reach: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AreaIn {
    south: f64,
    west: f64,
    north: f64,
    east: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CircleIn {
    lat: f64,
    lon: f64,
    km: f64,
}

/// A code and a sentence.
type Wrong = (&'static str, &'static str);

impl Area {
    pub(super) fn read(json: &str) -> Result<Area, Wrong> {
        let sent: AreaIn = serde_json::from_str(json)
            .map_err(|_| ("malformed", "numbers south, west, north and east"))?;
        let low = place(sent.south, sent.west)?;
        let high = place(sent.north, sent.east)?;
        if low.lat() > high.lat() {
            return Err(("not_a_location", "south lies north of north"));
        }
        Ok(Area {
            south: low.lat(),
            north: high.lat(),
            west: low.lon(),
            east: high.lon(),
        })
    }

    pub(super) fn holds(&self, place: Location) -> bool {
        let (after, before) = (self.west <= place.lon(), place.lon() <= self.east);
        let between = match self.west <= self.east {
            true => after && before,
            false => after || before,
        };
        (self.south..=self.north).contains(&place.lat()) && between
    }
}

impl Circle {
    pub(super) fn read(json: &str) -> Result<Circle, Wrong> {
        let sent: CircleIn =
            serde_json::from_str(json).map_err(|_| ("malformed", "numbers lat, lon and km"))?;
        let centre = place(sent.lat, sent.lon)?;
        if sent.km < 0.0 {
            return Err(("too_small", "a distance is not below 0 km"));
        }
        if sent.km > MAX_KM {
            return Err(("too_large", "a distance is at most 20 000 km"));
        }
        let sine = (sent.km / RADIUS / 2.0).sin();
        Ok(Circle {
            lat: centre.lat(),
            lon: centre.lon(),
            reach: sine * sine,
        })
    }

    pub(super) fn holds(&self, place: Location) -> bool {
        self.haversine(place) <= self.reach
    }

    /// The haversine of the angle between the centre and a place. In SQL the same operations in the
    /// same order, so that both round alike.
    fn haversine(&self, place: Location) -> f64 {
        let north = ((place.lat() - self.lat) * HALF_DEGREE).sin();
        let east = ((place.lon() - self.lon) * HALF_DEGREE).sin();
        let shrink = (place.lat() * DEGREE).cos() * (self.lat * DEGREE).cos();
        north * north + shrink * (east * east)
    }
}

fn place(lat: f64, lon: f64) -> Result<Location, Wrong> {
    Location::new(lat, lon).ok_or((
        "not_a_location",
        "latitude −90 to 90, longitude −180 to 180",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(lat: f64, lon: f64) -> Location {
        Location::new(lat, lon).unwrap()
    }

    #[test]
    fn a_box_may_cross_the_date_line() {
        let fiji = Area::read(r#"{"south":-20,"west":177,"north":-16,"east":-178}"#)
            .ok()
            .unwrap();
        assert!(fiji.holds(at(-18.0, 178.0)) && fiji.holds(at(-16.0, -178.0)));
        assert!(fiji.holds(at(-18.0, 180.0)) && fiji.holds(at(-18.0, -180.0)));
        assert!(!fiji.holds(at(-18.0, 0.0)) && !fiji.holds(at(-15.9, 178.0)));
    }

    #[test]
    fn distances_are_those_on_the_map() {
        // Sacramento to San Francisco: 121 km; from pole to pole: 20 015 km; over the date line: 222 km.
        let circle = |lat: f64, lon: f64, km: f64| {
            Circle::read(&format!(r#"{{"lat":{lat},"lon":{lon},"km":{km}}}"#))
                .ok()
                .unwrap()
        };
        let city = at(37.7749, -122.4194);
        assert!(circle(38.5816, -121.4944, 122.0).holds(city));
        assert!(!circle(38.5816, -121.4944, 120.0).holds(city));
        assert!(circle(0.0, 179.0, 223.0).holds(at(0.0, -179.0)));
        assert!(!circle(0.0, 179.0, 222.0).holds(at(0.0, -179.0)));
        assert!(!circle(90.0, 0.0, 20_000.0).holds(at(-90.0, 0.0)));
        assert!(circle(5.0, 5.0, 0.0).holds(at(5.0, 5.0)));
    }

    #[test]
    fn what_is_no_area_is_refused() {
        let circle = |json: &str| Circle::read(json).unwrap_err().0;
        assert_eq!(circle(r#"{"lat":91,"lon":0,"km":1}"#), "not_a_location");
        assert_eq!(circle(r#"{"lat":1,"lon":0,"km":-1}"#), "too_small");
        assert_eq!(circle(r#"{"lat":1,"lon":0,"km":20001}"#), "too_large");
        assert_eq!(circle(r#"{"lat":1,"lon":0}"#), "malformed");
        let area = |json: &str| Area::read(json).unwrap_err().0;
        assert_eq!(
            area(r#"{"south":2,"west":0,"north":1,"east":1}"#),
            "not_a_location"
        );
        assert_eq!(area("[1,2,3]"), "malformed");
    }
}
