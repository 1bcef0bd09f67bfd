//! The event that a change of a call makes.

use ringpad_bus::Receipt;

use crate::store::NextPosition;

/// An event that a backend writes; with it, the store's next position is taken.
#[derive(Debug)]
pub(crate) struct NewEvent {
    pub(crate) next: NextPosition,
    /// An encoded `ringpad.v1.SubscribeResponse`.
    pub(crate) bytes: Vec<u8>,
    /// Of the record that made it, if the time to the pads is to be measured.
    pub(crate) receipt: Option<Receipt>,
}
