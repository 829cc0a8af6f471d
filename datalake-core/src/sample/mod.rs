//! Synthetic food composition tables: seeded, with known dirt, to try the whole engine on.
//!
//! Everything here is made up and says so: no row describes a real product.

mod dirt;
mod foods;
mod land;
mod normal;
mod presence;
mod render;
mod table;

pub use foods::{ENERGY, Food, Foods, MAX_ENERGY_KCAL, NUTRIENTS, SOURCE, atwater};
pub use land::{Landed, LandedObject, MANIFEST, SampleOptions, land};
pub use presence::{Presence, land_if_missing};
