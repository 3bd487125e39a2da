\set i random(801, 40000)
\set a random(10, 65000)
UPDATE @T@ SET amount = :a WHERE id = :i;
