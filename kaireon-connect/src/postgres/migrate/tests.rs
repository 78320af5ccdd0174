use super::*;

const STEP: Migration = Migration {
    version: 1,
    name: "tables",
    statements: &[],
    oldest_library: 1,
};

const OURS: Migrations = Migrations {
    table: "versions",
    list: &[
        STEP,
        Migration { version: 2, ..STEP },
        Migration { version: 3, ..STEP },
    ],
    oldest_database: 2,
};

fn judged(version: u32, oldest_library: u32) -> Result<MigrationStatus> {
    let applied = Applied {
        version,
        name: "later".to_owned(),
        oldest_library,
    };
    OURS.judge(&Schema::new("kaireon")?, Some(&applied))
}

#[test]
fn a_library_works_with_tables_one_version_older_and_newer() {
    assert_eq!(judged(3, 2).unwrap(), MigrationStatus::Current);
    assert_eq!(judged(2, 1).unwrap(), MigrationStatus::Behind { found: 2 });
    assert_eq!(judged(4, 3).unwrap(), MigrationStatus::Ahead { found: 4 });
}

#[test]
fn tables_that_need_another_library_are_refused_by_name() {
    let newer = judged(5, 4).unwrap_err();
    assert_eq!(newer.kind(), ErrorKind::Config);
    assert!(newer.context().contains("version 5 (later)"), "{newer}");
    let older = judged(1, 1).unwrap_err();
    assert!(older.context().contains("run migrate"), "{older}");
    let missing = OURS.judge(&Schema::new("shop").unwrap(), None).unwrap_err();
    assert!(missing.context().contains("shop") && missing.context().contains("run migrate"));
}

#[test]
fn what_is_left_to_do_follows_what_was_found() {
    let versions = |found| OURS.after(found).map(|step| step.version).collect::<Vec<_>>();
    assert_eq!(versions(0), [1, 2, 3]);
    assert_eq!(versions(2), [3]);
    assert_eq!(versions(9), [0; 0]);
}

#[test]
fn a_schema_that_was_given_is_not_made() {
    let schema = Schema::new("shop").unwrap();
    assert!(OURS.founding(&schema, false)[0].starts_with("CREATE SCHEMA \"shop\""));
    let [table] = OURS.founding(&schema, true).try_into().unwrap();
    assert!(table.starts_with("CREATE TABLE \"shop\".versions ("));
}

#[test]
fn a_list_that_refuses_its_neighbours_is_found() {
    const ALONE: Migrations = Migrations {
        list: &[STEP],
        oldest_database: 1,
        ..OURS
    };
    assert!(OURS.spares_neighbours() && ALONE.spares_neighbours());
    // Of three versions, the third may need the second, and the tables may be those of the second.
    let second = Migration { version: 2, ..STEP };
    let third = |oldest_library| Migration {
        version: 3,
        oldest_library,
        ..STEP
    };
    let spares = |list: Vec<Migration>, oldest_database| {
        let list = list.leak();
        let lists = Migrations {
            list,
            oldest_database,
            ..OURS
        };
        lists.spares_neighbours()
    };
    assert!(spares(vec![STEP, second, third(2)], 2));
    assert!(
        !spares(vec![STEP, second, third(3)], 2),
        "a library of version 2 is refused"
    );
    assert!(
        !spares(vec![STEP, second, third(2)], 3),
        "tables of version 2 are refused"
    );
    assert!(!spares(vec![STEP, third(1)], 1), "a version is missing");
    assert!(!spares(vec![STEP, second], 0), "no tables at all are not enough");
    assert!(!spares(Vec::new(), 1));
}
