-- How many swaps were ever done. One row, which every swap updates first: so swaps follow one another, and what a
-- swap reads after it is what is there.
CREATE TABLE {s}.changes (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    done bigint NOT NULL
);
INSERT INTO {s}.changes (done) VALUES (0);

-- Everything that a tenant's setting ever was. A document is text, because it is given back byte for byte.
CREATE TABLE {s}.trail (
    tenant text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    id text NOT NULL,
    author text NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL,
    document text NOT NULL,
    PRIMARY KEY (tenant, version)
);

-- Which of them is the present one.
CREATE TABLE {s}.settings (
    tenant text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL
);
