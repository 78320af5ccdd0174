//! The switch of a set, with its settings and the relays between its stores.

use std::sync::Arc;

use kaireon_core::outbox::Lane;
use kaireon_core::relay::{Relay, RelayConfig};
use kaireon_core::{Error, ErrorKind, InteractionStore, Result, SettingsStore};
use kaireon_migrate::ReplicateSink;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::backends::Member;
use super::connected::{Connected, Disconnect, connected};
use crate::Config;
use crate::plan::{SwitchPlan, SwitchSpec};
use crate::switch::{TenantSwitch, assemble};

/// The switch of a set.
#[derive(Clone, Debug)]
pub(super) struct Switched {
    pub(super) tenants: TenantSwitch,
    pub(super) settings: Connected<dyn SettingsStore>,
    /// What the settings' backend is called.
    pub(super) settings_name: String,
    pub(super) replication: Arc<Replication>,
    spec: SwitchSpec,
    members: Vec<Connected<dyn InteractionStore>>,
}

impl Switched {
    /// Connects the settings and puts the switch together, or takes over the former one where everything is the same.
    pub(super) async fn connect(
        plan: &SwitchPlan,
        config: &Config,
        members: &[Member],
        former: Option<&Self>,
        begun: &mut Vec<Box<dyn Disconnect>>,
    ) -> Result<Self> {
        let of_former = former.map(|former| &former.settings);
        let settings = connected(&plan.settings, config, of_former.as_slice(), begun).await?;
        let stores: Vec<_> = members.iter().map(|member| member.store.clone()).collect();
        if let Some(former) = former
            && former.settings.is(&settings)
            && former.spec == plan.spec
            && same(&former.members, &stores)
        {
            return Ok(former.clone());
        }
        let named = members
            .iter()
            .map(|member| (member.name.clone(), Arc::clone(&member.store.raw)));
        let raw = Arc::clone(&settings.raw);
        let tenants = assemble(&plan.spec, named.collect(), raw, config.calls).await?;
        Ok(Self {
            tenants,
            settings,
            settings_name: plan.settings.choice.backend.clone(),
            replication: Arc::default(),
            spec: plan.spec.clone(),
            members: stores,
        })
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.replication, &other.replication)
    }

    /// Begins to bring to the other side of migrations what each store records, where it has not begun yet.
    pub(super) fn start(&self) -> Result<()> {
        let mut relays = self.replication.0.lock();
        if relays.is_none() {
            *relays = Some(spawn(&self.tenants)?);
        }
        Ok(())
    }
}

fn same(one: &[Connected<dyn InteractionStore>], other: &[Connected<dyn InteractionStore>]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.is(other))
}

/// A relay of the `replicate` lane of each store.
fn spawn(tenants: &TenantSwitch) -> Result<Vec<Arc<Relay>>> {
    let switch = tenants.switch_store();
    let relay = |(name, store): (&kaireon_migrate::Backend, &Arc<dyn InteractionStore>)| {
        let none = || Error::unsupported(store.capabilities().backend, "outbox");
        let outbox = store.outbox().ok_or_else(none)?;
        let sink = ReplicateSink::new(switch, name.clone());
        let relay = Relay::spawn(outbox, sink, RelayConfig::new(Lane::Replicate));
        Ok(Arc::new(relay))
    };
    tenants.stores().iter().map(relay).collect()
}

/// The relays between the stores: none before the set serves, and none after its end.
#[derive(Debug, Default)]
pub(super) struct Replication(Mutex<Option<Vec<Arc<Relay>>>>);

impl Replication {
    /// Brings over what waits, as far as this process has it in hand, and ends.
    ///
    /// # Errors
    /// `Timeout` where the deadline passed first: what is left waits in the lanes for whoever relays next.
    pub(super) async fn drain(&self, deadline: Instant) -> Result<()> {
        let relays = self.0.lock().replace(Vec::new()).unwrap_or_default();
        let mut draining = tokio::task::JoinSet::new();
        for relay in relays {
            let left = deadline.saturating_duration_since(Instant::now());
            draining.spawn(async move { relay.drain(left).await });
        }
        let mut outcome = Ok(());
        while let Some(ended) = draining.join_next().await {
            let panicked = |_| Err(Error::new(ErrorKind::Internal, "a relay ended by a panic"));
            outcome = outcome.and(ended.unwrap_or_else(panicked));
        }
        outcome
    }
}
