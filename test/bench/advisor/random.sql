-- random.sql: numbers and words for the generators. Each value is a hash of a
-- row's number and of a salt (which column it is for), so that the data are the
-- same each time, whatever is loaded in whichever order.
SET client_min_messages = warning;
CREATE SCHEMA gen;

-- 0 <= u < 1
CREATE FUNCTION gen.u(key bigint, salt int) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS 'SELECT (hashint8extended($1, $2) & 1073741823) / 1073741824.0::float8';

-- low <= n <= high, evenly
CREATE FUNCTION gen.n(key bigint, salt int, low int, high int) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS 'SELECT $3 + floor(gen.u($1, $2) * ($4 - $3 + 1))::int';

-- the same, but the low ones much more often: the higher the power, the more so
CREATE FUNCTION gen.skew(key bigint, salt int, low int, high int, power float8) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS 'SELECT $3 + floor(power(gen.u($1, $2), $5) * ($4 - $3 + 1))::int';

CREATE FUNCTION gen.pick(key bigint, salt int, list text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS 'SELECT ($3)[1 + floor(gen.u($1, $2) * cardinality($3))::int]';

-- an amount with two decimals
CREATE FUNCTION gen.money(key bigint, salt int, low int, high int) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS 'SELECT round(($3 + gen.u($1, $2) * ($4 - $3))::numeric, 2)';

-- low to high characters out of a text of ours
SELECT string_agg(word, ' ') AS words
FROM (SELECT gen.pick(i, 900, ARRAY['amber', 'quiet', 'ledger', 'ready', 'parcel', 'engine', 'window', 'special',
                                    'requests', 'harbour', 'along', 'complaint', 'customer', 'silver', 'north', 'slowly',
                                    'packet', 'the', 'after', 'pending', 'early', 'of', 'weather', 'account', 'bold',
                                    'deposit', 'about', 'stone', 'never', 'signal', 'garden', 'express', 'unusual',
                                    'between', 'theory', 'copper', 'market', 'light', 'over', 'final', 'branch',
                                    'measured', 'river', 'thirteen', 'cargo', 'regular', 'promise', 'without', 'answer',
                                    'furniture', 'under', 'winter', 'travel', 'and', 'paper', 'swift', 'number']) AS word
      FROM generate_series(1, 300) i) w \gset
SELECT format('CREATE FUNCTION gen.text(key bigint, salt int, low int, high int) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
               AS $f$ SELECT substr(%L, gen.n($1, $2, 1, 1700), gen.n($1, $2 + 500, $3, $4)) $f$', :'words') \gexec
