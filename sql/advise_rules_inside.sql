-- Rules for what looks inside a value: GIN, GiST, SP-GiST, hash; expressions of
-- jsonb. Definitions are asserted, costs never.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
DROP SCHEMA IF EXISTS advise_inside CASCADE;
CREATE SCHEMA advise_inside;
SET search_path = advise_inside, public;
CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA advise_inside;
RESET client_min_messages;

CREATE TABLE doc (id int PRIMARY KEY, tenant int, data jsonb, tags text[], nums int[], body text, terms tsvector, filler text);
INSERT INTO doc
SELECT i, i % 50, jsonb_build_object('user', 'u' || (i * 7919) % 5000, 'n', i, 'kind', 'k' || i % 3, 'all', 'x', 'k' || i % 997, 1),
       ARRAY['t' || (i * 7919) % 3000, 'a'], ARRAY[(i * 31) % 3000, i % 2],
       md5(i::text) || ' ' || md5((i + 7)::text), to_tsvector('simple', 'word' || (i * 7919) % 3000), repeat('f', 200)
FROM generate_series(1, 30000) i;
CREATE TABLE booking (id int PRIMARY KEY, room int, during tsrange, spot point, area box, addr inet, net cidr, filler text);
INSERT INTO booking
SELECT i, i % 300, tsrange(timestamp '2026-01-01' + i * interval '1 minute', timestamp '2026-01-01' + (i + 5) * interval '1 minute'),
       point((i * 7919) % 1000, (i * 31) % 1000), box(point((i * 7919) % 1000, (i * 31) % 1000), point((i * 7919) % 1000 + 1, (i * 31) % 1000 + 1)),
       ('10.' || i % 200 || '.' || (i / 200) % 250 || '.' || i % 250)::inet, ('10.' || i % 200 || '.' || (i / 200) % 250 || '.0/24')::cidr, repeat('f', 200)
FROM generate_series(1, 30000) i;
CREATE TABLE page (id int PRIMARY KEY, long text, short text);
INSERT INTO page SELECT i, md5(i::text) || repeat(md5((i * 3)::text), 30), md5(i::text) FROM generate_series(1, 10000) i;
ALTER TABLE page ALTER long SET STORAGE EXTERNAL;
VACUUM ANALYZE doc, booking, page;

CREATE FUNCTION advice(statement text, parameters text[] DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(regexp_replace(definition, '^CREATE INDEX \S+ ON (?:advise_inside\.)?(\S+) USING', '\1'),
                               '; ' ORDER BY definition), 'nothing')
    FROM hone.advise(statement, parameters)
$$;

-- jsonb: containment and paths in the smaller class, existence in the other
SELECT advice($$SELECT * FROM doc WHERE data @> '{"user": "u77"}'$$);
SELECT advice($$SELECT * FROM doc WHERE data @? '$.user ? (@ == "u77")'$$);
SELECT advice($$SELECT * FROM doc WHERE data @@ '$.user == "u77"'$$);
SELECT advice($$SELECT * FROM doc WHERE data ? 'k77'$$);
SELECT advice($$SELECT * FROM doc WHERE data ?| '{k77,k78}'$$);
SELECT advice($$SELECT * FROM doc WHERE data ?& '{k77,k78}'$$);
-- one key: the expression, with its cast as it is written
SELECT advice($$SELECT * FROM doc WHERE data ->> 'user' = 'u77'$$);
SELECT advice($$SELECT * FROM doc WHERE (data ->> 'n')::int BETWEEN 5 AND 9$$);
SELECT advice($$SELECT * FROM doc WHERE data ->> 'all' = 'x'$$);
SELECT advice($$SELECT * FROM doc WHERE data -> 'user' = '"u77"'$$);
-- a key that is a parameter may be another one next time
SELECT advice($$SELECT * FROM doc WHERE data ->> $1 = $2$$, '{user,u77}');
SELECT advice($$SELECT * FROM doc WHERE data ->> 'user' = $1$$, '{u77}');

-- arrays
SELECT advice($$SELECT * FROM doc WHERE tags @> '{t77}'$$);
SELECT advice($$SELECT * FROM doc WHERE tags && '{t77,t78}'$$);
SELECT advice($$SELECT * FROM doc WHERE nums @> '{77}'$$);
SELECT advice($$SELECT * FROM doc WHERE tags @> '{a}'$$);
SELECT advice($$SELECT * FROM doc WHERE tags = '{t77,a}'$$) IN ('doc btree (tags)', 'doc gin (tags)') AS equal;
-- no index for this, and the reason
SELECT advice($$SELECT * FROM doc WHERE 't77' = ANY (tags)$$);
SELECT count(*) FROM hone.recommend_for(ARRAY[$$SELECT * FROM doc WHERE 't77' = ANY (tags)$$]);
SELECT definition, reason FROM hone.rejected_candidates
WHERE run_id = (SELECT max(run_id) FROM hone.advisor_runs) AND reason ~ 'ANY';

-- full text
SELECT advice($$SELECT * FROM doc WHERE terms @@ to_tsquery('simple', 'word77')$$);
SELECT advice($$SELECT * FROM doc WHERE to_tsvector('simple', body) @@ to_tsquery('simple', 'x')$$);
SELECT advice($$SELECT * FROM doc WHERE to_tsvector(body) @@ to_tsquery('simple', 'x')$$);
SELECT advice($$SELECT * FROM doc WHERE terms @@ to_tsquery('simple', '!word77')$$);

-- inside of texts: three characters at least
SELECT advice($$SELECT * FROM doc WHERE body LIKE '%abcdef%'$$);
SELECT advice($$SELECT * FROM doc WHERE body ILIKE '%ABCdef%'$$);
SELECT advice($$SELECT * FROM doc WHERE body ~ 'abc.*def'$$);
SELECT advice($$SELECT * FROM doc WHERE body LIKE '%ab%'$$);
SELECT advice($$SELECT * FROM doc WHERE 'abcdefgh' <% body$$) ~ 'gin \(body' AS word_similarity;
SELECT advice($$SELECT * FROM doc WHERE body LIKE '%a%c%e%'$$);
-- the nearest ones: GiST
SELECT advice($$SELECT * FROM doc ORDER BY body <-> 'abcdef' LIMIT 5$$);

-- ranges, shapes
SELECT advice($$SELECT * FROM booking WHERE during && tsrange('2026-01-05 01:00', '2026-01-05 02:00')$$) ~ '^booking (gist|spgist) \(during\)$' AS during;
SELECT advice($$SELECT * FROM booking WHERE during @> timestamp '2026-01-05 01:00'$$) ~ '^booking (gist|spgist) \(during\)$' AS during;
SELECT advice($$SELECT * FROM booking WHERE timestamp '2026-01-05 01:00' <@ during$$) ~ '^booking (gist|spgist) \(during\)$' AS during;
SELECT advice($$SELECT * FROM booking WHERE NOT during @> timestamp '2026-01-05 01:00'$$);
SELECT advice($$SELECT * FROM booking WHERE spot <@ box '((5,5),(9,9))'$$) ~ '^booking (gist|spgist) \(spot\)$' AS spot;
SELECT advice($$SELECT * FROM booking WHERE area && box '((5,5),(9,9))'$$) ~ '^booking (gist|spgist) \(area\)$' AS area;
-- networks: a range of addresses is one of a btree
SELECT advice($$SELECT * FROM booking WHERE addr << '10.7.8.0/24'$$) ~ '^booking (btree \(addr\)|gist \(addr inet_ops\)|spgist \(addr\))$' AS addr;
SELECT advice($$SELECT * FROM booking WHERE net >>= '10.7.8.9'$$) ~ '^booking (gist \(net inet_ops\)|spgist \(net\))$' AS net;
-- nearest neighbours
SELECT advice($$SELECT * FROM booking ORDER BY spot <-> point '(5,5)' LIMIT 5$$) ~ '^booking (gist|spgist) \(spot\)$' AS nearest;
SELECT advice($$SELECT * FROM booking ORDER BY point '(5,5)' <-> spot LIMIT 5$$) ~ '^booking (gist|spgist) \(spot\)$' AS nearest;
SELECT advice($$SELECT * FROM booking ORDER BY spot <-> point '(5,5)' DESC LIMIT 5$$);
-- of each of some rows; the first in an order, too
SELECT advice($$SELECT * FROM (VALUES (point '(5,5)'), ('(7,7)')) v (p), LATERAL (SELECT * FROM booking ORDER BY spot <-> v.p LIMIT 3) b$$)
    ~ '^booking (gist|spgist) \(spot\)$' AS nearest;
SELECT advice($$SELECT * FROM (SELECT during FROM booking ORDER BY addr LIMIT 3) b, (VALUES (1), (2)) v (i)$$) ~ '^booking btree \(addr' AS first;
SELECT advice($$SELECT * FROM booking WHERE spot ~= point '(5,5)'$$) ~ '^booking (gist|spgist) \(spot\)$' AS same;
-- of an access method that is not the server's: named, not recommended
CREATE ACCESS METHOD nearest TYPE INDEX HANDLER gisthandler;
CREATE TABLE vec (id int PRIMARY KEY, v lseg, filler text);
INSERT INTO vec SELECT i, lseg(point(i, i), point(i + 1, i)), repeat('f', 200) FROM generate_series(1, 20000) i;
VACUUM ANALYZE vec;
CREATE OPERATOR CLASS lseg_nearest FOR TYPE lseg USING nearest AS OPERATOR 1 <-> (lseg, lseg) FOR ORDER BY pg_catalog.float_ops;
SELECT advice($$SELECT * FROM vec ORDER BY v <-> lseg '((1,1),(2,2))' LIMIT 5$$);
SELECT count(*) FROM hone.recommend_for(ARRAY[$$SELECT * FROM vec ORDER BY v <-> lseg '((1,1),(2,2))' LIMIT 5$$]);
SELECT definition, reason FROM hone.rejected_candidates
WHERE run_id = (SELECT max(run_id) FROM hone.advisor_runs) AND reason ~ 'extension';
-- scalars first, when there is a class for them
SELECT advice($$SELECT * FROM booking WHERE room = 5 AND during && tsrange('2026-01-05 01:00', '2026-01-07 02:00')$$)
    ~ '\(room, during\)' AS with_scalar;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS btree_gist SCHEMA advise_inside;
CREATE EXTENSION IF NOT EXISTS btree_gin SCHEMA advise_inside;
RESET client_min_messages;
SELECT advice($$SELECT * FROM booking WHERE room = 5 AND during && tsrange('2026-01-05 01:00', '2026-01-17 02:00')$$) ~ 'gist \(room, during\)' AS with_scalar;
SELECT advice($$SELECT * FROM doc WHERE tenant = 5 AND nums @> '{1}'$$);
SELECT advice($$SELECT * FROM doc WHERE tenant = 5$$) ~ 'gi[ns]' AS no_gin_for_scalars;
-- two in one index
SELECT advice($$SELECT * FROM doc WHERE nums @> '{1}' AND tags @> '{t77}'$$) ~ 'gin' AS some_gin;

-- equality of long texts: no btree may hold them
SELECT advice($$SELECT id FROM page WHERE long = 'x'$$);
SELECT advice($$SELECT id FROM page WHERE short = 'x'$$);

SET client_min_messages = warning;
DROP ACCESS METHOD nearest CASCADE;
DROP SCHEMA advise_inside CASCADE;
