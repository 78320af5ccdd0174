//! The workload of the store figures: 100,000 customers, uniform and Zipf, 80 offers, fresh keys.

use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{Interaction, InteractionType, Value};

/// How many customers there are.
pub const CUSTOMERS: u64 = 100_000;

/// How many offers there are.
pub const OFFERS: u64 = 80;

/// How customers are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    /// Each as often as any other.
    Uniform,
    /// The n-th in proportion to 1/n (exponent 1), by inverting the continuous distribution.
    Zipf,
}

impl Draw {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Uniform, Self::Zipf];

    /// Its name in a figure's id.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
        }
    }

    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank is drawn below 2^17"
    )]
    /// Draws the number of a customer.
    pub fn customer(self, random: &mut fastrand::Rng) -> u64 {
        match self {
            Self::Uniform => random.u64(0..CUSTOMERS),
            Self::Zipf => ((CUSTOMERS as f64).powf(random.f64()) as u64).min(CUSTOMERS) - 1,
        }
    }
}

/// Makes interactions without end, each with a fresh key, from a seed.
#[derive(Debug)]
pub struct Workload {
    random: fastrand::Rng,
    draw: Draw,
    made: u64,
    series: u64,
    day_ms: i64,
    days: u64,
    tenant: &'static str,
    customer: Option<String>,
}

impl Workload {
    /// A series of its own: no key of one series is in another.
    #[must_use]
    pub fn new(draw: Draw, series: u64) -> Self {
        let day_ms = SystemClock.now().timestamp_millis() - 3_600_000;
        Self {
            random: fastrand::Rng::with_seed(series),
            draw,
            made: 0,
            series,
            day_ms,
            days: 1,
            tenant: "bench",
            customer: None,
        }
    }

    /// The same events, of another tenant.
    #[must_use]
    pub const fn of_tenant(mut self, name: &'static str) -> Self {
        self.tenant = name;
        self
    }

    /// The same events, over so many days, which they take turns in, up to the present one.
    #[must_use]
    pub const fn over_days(mut self, days: u64) -> Self {
        self.days = days;
        self
    }

    /// The same events, all of one customer.
    #[must_use]
    pub fn of_customer(mut self, name: String) -> Self {
        self.customer = Some(name);
        self
    }

    /// The numbers of the customers that the next so many events have.
    ///
    /// # Panics
    /// Where an event's customer is not one of the workload's.
    pub fn customers(&mut self, events: u64) -> Vec<u64> {
        let events = self.by_ref().take(usize::try_from(events).unwrap_or(usize::MAX));
        let number = |event: Interaction| event.customer.as_str().trim_start_matches("customer-").parse();
        events
            .map(|event| number(event).expect("the workload numbers its customers"))
            .collect()
    }
}

impl Iterator for Workload {
    type Item = Interaction;

    fn next(&mut self) -> Option<Interaction> {
        let customer = self.draw.customer(&mut self.random);
        let offer = self.random.u64(0..OFFERS);
        let click = self.random.u64(0..20) == 0;
        let (interaction_type, value) = if click {
            (
                InteractionType::Convert,
                Some(Value::from_micros(self.random.i64(1..100_000_000))),
            )
        } else {
            (InteractionType::Impression, None)
        };
        self.made += 1;
        // Within an hour of its day, at most one millisecond apart from its neighbours there.
        let of_day = i64::try_from(self.made / self.days % 3_600_000).unwrap_or_default();
        let days_ago = i64::try_from(self.made % self.days).unwrap_or_default();
        let at = self.day_ms + of_day - days_ago * 86_400_000;
        let customer = match &self.customer {
            Some(name) => name.clone(),
            None => format!("customer-{customer}"),
        };
        let builder = Interaction::builder(self.tenant, customer)
            .offer(format!("offer-{offer}"))
            .creative(format!("creative-{}", offer % 8))
            .channel("web")
            .campaign("winter")
            .idempotency_key(format!("{:x}-{:x}", self.series, self.made))
            .interaction_type(interaction_type)
            .timestamp(kaireon_core::time::from_millis(at).unwrap_or_else(|| SystemClock.now()));
        let builder = match value {
            Some(value) => builder.value(value),
            None => builder,
        };
        Some(builder.build().expect("the workload stays within the bounds"))
    }
}
