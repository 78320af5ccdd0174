//! Opening the stores, the settings and the archive that the environment names.

use kaireon::core::{Error, Result};
use kaireon::{Config, TenantSwitch, switch};

/// What a store calls itself that one process alone has open.
const OF_ONE_PROCESS: &str = "embedded";

/// Opens what the environment names; nothing is started.
///
/// # Errors
/// As for [`switch::open`].
pub(crate) async fn open() -> Result<TenantSwitch> {
    switch::open(&Config::from_env()).await
}

/// Whether a store is open in this process alone, so that nobody else can carry its entries over.
pub(crate) fn is_alone(switch: &TenantSwitch) -> bool {
    let mut stores = switch.stores().iter();
    stores.any(|(_, store)| store.capabilities().backend == OF_ONE_PROCESS)
}

/// Whether an error says that another process has something open which one process has at a time.
pub(crate) fn is_in_use(error: &Error) -> bool {
    error.context().contains("is in use")
}

/// What to do about an error of opening.
pub(crate) fn hint(error: &Error) -> Option<&'static str> {
    is_in_use(error).then_some(
        "one process has it open at a time: ask the host that has, by its settings API \
         (/api/v1/settings/interaction-store) or by `Operator` in its code, or stop it for as long as this command runs",
    )
}
