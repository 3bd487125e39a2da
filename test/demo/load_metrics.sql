-- 1.2 million metrics of 400 names, 35 days, appended in time order. A few
-- names make up most rows (rank ~ u^3), as a few services emit most metrics.
SELECT setseed(0.42) \g /dev/null
INSERT INTO metrics (metric_name, value, unit, labels, timestamp)
SELECT demo.metric_name(name), round((100 * random())::numeric, 2),
       (ARRAY['ms', 'percent', 'bytes', 'count'])[1 + name % 4],
       jsonb_build_object('host', 'web-' || lpad((host % 40)::text, 2, '0'),
                          'service', (ARRAY['api', 'checkout', 'search', 'auth', 'chat', 'billing', 'mailer', 'gateway'])[1 + host % 8],
                          'region', (ARRAY['eu-west-1', 'us-east-1', 'ap-south-1'])[1 + host % 3],
                          'deployment', 'd-' || lpad((i / 4000)::text, 4, '0'),
                          'env', CASE WHEN host % 10 = 0 THEN 'staging' ELSE 'prod' END),
       now() - interval '35 days' * (1 - i / 1200000.0)
FROM (SELECT i, floor(400 * power(random(), 3))::int AS name, floor(120 * random())::int AS host
      FROM generate_series(1, 1200000) i OFFSET 0) s;
