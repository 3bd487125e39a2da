-- Tables and columns as those of the Join Order Benchmark (a film data base),
-- filled by a generator of our own. Scale 1 has 1.2 million films and 7 million
-- roles. Popular films have many more of everything than others, and keywords,
-- companies and people are skewed; the many small tables say what kind a row is.
CREATE TABLE kind_type (id int PRIMARY KEY, kind varchar(15) NOT NULL);
CREATE TABLE company_type (id int PRIMARY KEY, kind varchar(32));
CREATE TABLE info_type (id int PRIMARY KEY, info varchar(32) NOT NULL);
CREATE TABLE link_type (id int PRIMARY KEY, link varchar(32) NOT NULL);
CREATE TABLE role_type (id int PRIMARY KEY, role varchar(32) NOT NULL);
CREATE TABLE comp_cast_type (id int PRIMARY KEY, kind varchar(32) NOT NULL);
CREATE TABLE title (id int PRIMARY KEY, title text NOT NULL, imdb_index varchar(12), kind_id int NOT NULL, production_year int,
    imdb_id int, phonetic_code varchar(5), episode_of_id int, season_nr int, episode_nr int, series_years varchar(49), md5sum varchar(32));
CREATE TABLE name (id int PRIMARY KEY, name text NOT NULL, imdb_index varchar(12), imdb_id int, gender varchar(1),
    name_pcode_cf varchar(5), name_pcode_nf varchar(5), surname_pcode varchar(5), md5sum varchar(32));
CREATE TABLE char_name (id int PRIMARY KEY, name text NOT NULL, imdb_index varchar(12), imdb_id int, name_pcode_nf varchar(5),
    surname_pcode varchar(5), md5sum varchar(32));
CREATE TABLE company_name (id int PRIMARY KEY, name text NOT NULL, country_code varchar(255), imdb_id int, name_pcode_nf varchar(5),
    name_pcode_sf varchar(5), md5sum varchar(32));
CREATE TABLE keyword (id int PRIMARY KEY, keyword text NOT NULL, phonetic_code varchar(5));
CREATE TABLE aka_name (id int PRIMARY KEY, person_id int NOT NULL, name text NOT NULL, imdb_index varchar(12), name_pcode_cf varchar(5),
    name_pcode_nf varchar(5), surname_pcode varchar(5), md5sum varchar(32));
CREATE TABLE aka_title (id int PRIMARY KEY, movie_id int NOT NULL, title text NOT NULL, imdb_index varchar(12), kind_id int NOT NULL,
    production_year int, phonetic_code varchar(5), episode_of_id int, season_nr int, episode_nr int, note text, md5sum varchar(32));
CREATE TABLE cast_info (id int PRIMARY KEY, person_id int NOT NULL, movie_id int NOT NULL, person_role_id int, note text, nr_order int,
    role_id int NOT NULL);
CREATE TABLE complete_cast (id int PRIMARY KEY, movie_id int, subject_id int NOT NULL, status_id int NOT NULL);
CREATE TABLE movie_companies (id int PRIMARY KEY, movie_id int NOT NULL, company_id int NOT NULL, company_type_id int NOT NULL, note text);
CREATE TABLE movie_info (id int PRIMARY KEY, movie_id int NOT NULL, info_type_id int NOT NULL, info text NOT NULL, note text);
CREATE TABLE movie_info_idx (id int PRIMARY KEY, movie_id int NOT NULL, info_type_id int NOT NULL, info text NOT NULL, note text);
CREATE TABLE movie_keyword (id int PRIMARY KEY, movie_id int NOT NULL, keyword_id int NOT NULL);
CREATE TABLE movie_link (id int PRIMARY KEY, movie_id int NOT NULL, linked_movie_id int NOT NULL, link_type_id int NOT NULL);
CREATE TABLE person_info (id int PRIMARY KEY, person_id int NOT NULL, info_type_id int NOT NULL, info text NOT NULL, note text);

SELECT greatest(5000, (2500000 * :scale * 0.5)::int) AS films, greatest(5000, (4000000 * :scale * 0.25)::int) AS people,
       greatest(2000, (230000 * :scale)::int) AS companies, greatest(2000, (134000 * :scale)::int) AS keywords,
       greatest(5000, (3000000 * :scale * 0.25)::int) AS characters,
       greatest(50000, (14000000 * :scale * 0.5)::int) AS roles \gset

INSERT INTO kind_type SELECT i, k FROM unnest(ARRAY['movie', 'tv series', 'tv movie', 'video movie', 'tv mini series', 'video game', 'episode']) WITH ORDINALITY n (k, i);
INSERT INTO company_type SELECT i, k FROM unnest(ARRAY['distributors', 'production companies', 'special effects companies', 'miscellaneous companies']) WITH ORDINALITY n (k, i);
INSERT INTO link_type SELECT i, k FROM unnest(ARRAY['follows', 'followed by', 'remake of', 'remade as', 'references', 'referenced in', 'spoofs', 'spoofed in',
    'features', 'featured in', 'spin off from', 'spin off', 'version of', 'similar to', 'edited into', 'edited from', 'alternate language version of', 'unknown link']) WITH ORDINALITY n (k, i);
INSERT INTO role_type SELECT i, k FROM unnest(ARRAY['actor', 'actress', 'producer', 'writer', 'cinematographer', 'composer', 'costume designer', 'director', 'editor',
    'miscellaneous crew', 'production designer', 'guest']) WITH ORDINALITY n (k, i);
INSERT INTO comp_cast_type SELECT i, k FROM unnest(ARRAY['cast', 'crew', 'complete', 'complete+verified']) WITH ORDINALITY n (k, i);
INSERT INTO info_type
SELECT i, coalesce((ARRAY['runtimes', 'color info', 'genres', 'languages', 'certificates', 'sound mix', 'tech info', 'countries'])[i],
                   CASE i WHEN 16 THEN 'release dates' WHEN 17 THEN 'trivia' WHEN 19 THEN 'mini biography' WHEN 99 THEN 'votes distribution' WHEN 100 THEN 'votes'
                          WHEN 101 THEN 'rating' WHEN 105 THEN 'budget' WHEN 107 THEN 'gross' WHEN 112 THEN 'top 250 rank' WHEN 113 THEN 'bottom 10 rank' ELSE 'kind ' || i END)
FROM generate_series(1, 113) i;
-- Films of low numbers are the popular ones.
INSERT INTO title
SELECT i, initcap(gen.text(i, 1, 5, 35)), NULL, gen.skew(i, 2, 1, 7, 1.5), CASE WHEN gen.u(i, 3) < 0.97 THEN 2013 - gen.skew(i, 4, 0, 110, 2.5) END, NULL,
       'X' || gen.n(i, 5, 100, 999), CASE WHEN gen.u(i, 6) < 0.3 THEN gen.n(i, 7, 1, 2000) END, CASE WHEN gen.u(i, 6) < 0.3 THEN gen.n(i, 8, 1, 12) END,
       CASE WHEN gen.u(i, 6) < 0.3 THEN gen.skew(i, 9, 1, 120, 2) END, NULL, md5(i::text) FROM generate_series(1, :films) i;
INSERT INTO name
SELECT i, initcap(gen.text(i, 1, 4, 12)) || ', ' || initcap(gen.text(i, 2, 3, 10)), NULL, NULL, (ARRAY['m', 'm', 'f', NULL])[gen.n(i, 3, 1, 4)],
       'A' || gen.n(i, 4, 1, 999), 'B' || gen.n(i, 5, 1, 999), 'C' || gen.n(i, 6, 1, 99), md5(i::text) FROM generate_series(1, :people) i;
INSERT INTO char_name
SELECT i, initcap(gen.text(i, 1, 3, 20)), NULL, NULL, 'A' || gen.n(i, 4, 1, 999), 'C' || gen.n(i, 6, 1, 99), md5(i::text) FROM generate_series(1, :characters) i;
INSERT INTO company_name
SELECT i, initcap(gen.text(i, 1, 5, 25)) || gen.pick(i, 3, ARRAY[' Film', ' Pictures', ' Television', ' Studios', '', ' Warner']), 
       '[' || gen.pick(i, 2, ARRAY['us', 'us', 'us', 'us', 'gb', 'de', 'fr', 'jp', 'in', 'ca', 'it', 'es', 'nl', 'se', 'pl', 'ru']) || ']', NULL,
       'A' || gen.n(i, 4, 1, 999), 'B' || gen.n(i, 5, 1, 999), md5(i::text) FROM generate_series(1, :companies) i;
INSERT INTO keyword
SELECT i, CASE i WHEN 5 THEN 'sequel' WHEN 9 THEN 'superhero' WHEN 14 THEN 'murder' WHEN 20 THEN 'blood' WHEN 28 THEN 'violence' WHEN 77 THEN 'character-name-in-title'
                 ELSE replace(gen.text(i, 1, 5, 20), ' ', '-') || '-' || i END, 'K' || gen.n(i, 2, 1, 999) FROM generate_series(1, :keywords) i;
INSERT INTO aka_name SELECT i, gen.skew(i, 1, 1, :people, 1.5), initcap(gen.text(i, 2, 6, 24)), NULL, 'A1', 'B1', 'C1', md5(i::text) FROM generate_series(1, :people / 4) i;
INSERT INTO aka_title SELECT i, gen.skew(i, 1, 1, :films, 2), initcap(gen.text(i, 2, 5, 35)), NULL, 1, 1990 + i % 24, 'X', NULL, NULL, NULL, NULL, md5(i::text)
FROM generate_series(1, :films / 7) i;
INSERT INTO cast_info
SELECT i, gen.skew(i, 1, 1, :people, 1.6), gen.skew(i, 2, 1, :films, 1.8), CASE WHEN gen.u(i, 3) < 0.5 THEN gen.skew(i, 4, 1, :characters, 1.3) END,
       CASE WHEN gen.u(i, 5) < 0.4 THEN gen.pick(i, 6, ARRAY['(producer)', '(executive producer)', '(voice)', '(uncredited)', '(writer)', '(voice: English version)',
                                                            '(story)', '(archive footage)', '(screenplay)', '(as himself)']) END,
       CASE WHEN gen.u(i, 7) < 0.4 THEN gen.skew(i, 8, 1, 60, 2) END, gen.skew(i, 9, 1, 11, 1.7) FROM generate_series(1, :roles) i;
INSERT INTO complete_cast SELECT i, gen.skew(i, 1, 1, :films, 2), 1 + i % 2, 3 + gen.n(i, 2, 0, 1) FROM generate_series(1, :films / 10) i;
INSERT INTO movie_companies
SELECT i, gen.skew(i, 1, 1, :films, 1.6), gen.skew(i, 2, 1, :companies, 2.2), 1 + gen.n(i, 3, 0, 1),
       CASE WHEN gen.u(i, 4) < 0.5 THEN gen.pick(i, 5, ARRAY['(presents)', '(co-production)', '(2006) (USA) (TV)', '(as Metro-Goldwyn-Mayer Pictures)', '(1994) (Japan) (VHS)',
                                                            '(2008) (worldwide) (all media)', '(2001) (UK) (theatrical)', '(2013) (USA) (DVD)']) END FROM generate_series(1, :films) i;
INSERT INTO movie_info
SELECT i, gen.skew(i, 1, 1, :films, 1.4), type,
       CASE type WHEN 3 THEN gen.pick(i, 3, ARRAY['Drama', 'Drama', 'Comedy', 'Comedy', 'Horror', 'Thriller', 'Action', 'Documentary', 'Short', 'Western'])
                 WHEN 4 THEN gen.pick(i, 3, ARRAY['English', 'English', 'English', 'German', 'French', 'Swedish', 'Japanese', 'Danish', 'Norwegian'])
                 WHEN 8 THEN gen.pick(i, 3, ARRAY['USA', 'USA', 'USA', 'UK', 'Germany', 'France', 'Sweden', 'Japan', 'Denmark', 'Norway'])
                 WHEN 16 THEN gen.pick(i, 3, ARRAY['USA', 'USA', 'UK', 'Germany', 'Japan', 'Italy']) || ':' || gen.n(i, 4, 1, 28) || ' May ' || gen.n(i, 5, 1950, 2013)
                 WHEN 105 THEN '$' || gen.n(i, 4, 1, 300) || '00,000' ELSE gen.text(i, 6, 4, 60) END,
       CASE WHEN gen.u(i, 7) < 0.15 THEN gen.pick(i, 8, ARRAY['(internet)', '(premiere)', '(TV)', '(limited)', '(re-release)']) END
FROM (SELECT i, (ARRAY[1, 1, 2, 3, 3, 4, 4, 5, 6, 7, 8, 8, 16, 16, 16, 17, 17, 105, 107, 98])[gen.n(i, 2, 1, 20)] AS type FROM generate_series(1, :films * 4) i OFFSET 0) s;
INSERT INTO movie_info_idx
SELECT i * 3 - 3 + t, gen.skew(i, 1, 1, :films, 1.2), 98 + t, CASE t WHEN 1 THEN '0000' || gen.n(i, 2, 100000, 999999) WHEN 2 THEN gen.skew(i, 3, 5, 100000, 4)::text
       ELSE round((1 + 9 * gen.u(i, 4))::numeric, 1)::text END, NULL
FROM generate_series(1, :films / 5) i, generate_series(1, 3) t;
INSERT INTO movie_info_idx SELECT :films * 2 + i, i * 3, 112, i::text, NULL FROM generate_series(1, 250) i;
INSERT INTO movie_info_idx SELECT :films * 2 + 250 + i, i * 31, 113, i::text, NULL FROM generate_series(1, 10) i;
INSERT INTO movie_keyword SELECT i, gen.skew(i, 1, 1, :films, 2.2), gen.skew(i, 2, 1, :keywords, 2.5) FROM generate_series(1, :films * 2) i;
INSERT INTO movie_link SELECT i, gen.skew(i, 1, 1, :films, 3), gen.skew(i, 2, 1, :films, 3), gen.skew(i, 3, 1, 18, 1.5) FROM generate_series(1, greatest(1000, :films / 80)) i;
INSERT INTO person_info
SELECT i, gen.skew(i, 1, 1, :people, 1.6), gen.n(i, 2, 15, 39), gen.text(i, 3, 10, 120), CASE WHEN gen.u(i, 4) < 0.1 THEN gen.pick(i, 5, ARRAY['Anonymous', 'Volker Boehm', 'A. Writer']) END
FROM generate_series(1, :people * 2 / 3) i;
