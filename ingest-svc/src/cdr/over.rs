//! A record over an older one of its kind: what it says stands, what it leaves out is kept.

use super::{Cdr, other};
use crate::phone::Caller;

impl Cdr {
    /// This record, with what only the older one said.
    pub(crate) fn over(self, older: Self) -> Self {
        Self {
            seq: self.seq,
            sdt: self.sdt,
            edt: self.edt.or(older.edt),
            swidt: self.swidt.or(older.swidt),
            // A caller that is left out reads as withheld.
            caller: if self.caller == Caller::Withheld { older.caller } else { self.caller },
            vn: self.vn.or(older.vn),
            ton: self.ton.or(older.ton),
            memo: self.memo.or(older.memo),
            memo2: self.memo2.or(older.memo2),
            crid: self.crid.or(older.crid),
            irid: self.irid.or(older.irid),
            cause: self.cause.or(older.cause),
            closed_from: self.closed_from.or(older.closed_from),
            other: other::over(self.other, older.other),
        }
    }
}
