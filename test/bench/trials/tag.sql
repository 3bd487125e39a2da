\set t random(0, 2047)
SELECT id FROM @T@ WHERE attributes @> jsonb_build_object('tag', :t);
