//! Which cases must notice which flaw, and into which others its rule reaches.

mod erasing;
mod outbox;
mod reading;
mod writing;

use self::erasing::erasing;
use self::outbox::outbox;
use self::reading::reading;
use self::writing::writing;
use super::flaw::Flaw;

macro_rules! expected {
    ({ $($flaw:ident: [$($must:ident)*] $(may [$($may:ident)*])?;)* }) => {
        impl Flaw {
            /// Every flaw.
            pub const ALL: &'static [Self] = &[$(Self::$flaw),*];

            /// The cases that must fail: those named after the rule.
            #[must_use]
            pub const fn caught_by(self) -> &'static [&'static str] {
                match self {
                    $(Self::$flaw => &[$(stringify!($must)),*],)*
                }
            }

            /// The cases that may fail beside, because the rule reaches into them. All others must pass.
            #[must_use]
            pub const fn may_fail(self) -> &'static [&'static str] {
                match self {
                    $(Self::$flaw => &[$($(stringify!($may)),*)?],)*
                }
            }
        }
    };
    // One list after the other is put behind those before it, so that a flaw without an entry does not compile.
    ({ $($so_far:tt)* } $list:ident $($next:ident)*) => {
        $list! { expected { $($so_far)* } $($next)* }
    };
}

expected! { {} writing reading erasing outbox }
