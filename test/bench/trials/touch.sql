\set i random(1, 40000)
UPDATE @T@ SET touched = touched + 1 WHERE id = :i;
