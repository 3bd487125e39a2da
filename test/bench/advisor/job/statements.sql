-- j01
SELECT min(mc.note), min(t.title), min(t.production_year) FROM company_type ct, info_type it, movie_companies mc, movie_info_idx mi, title t
WHERE ct.kind = 'production companies' AND it.info = 'top 250 rank' AND mc.note NOT LIKE '%(as Metro-Goldwyn-Mayer Pictures)%'
  AND (mc.note LIKE '%(co-production)%' OR mc.note LIKE '%(presents)%') AND ct.id = mc.company_type_id AND t.id = mc.movie_id
  AND t.id = mi.movie_id AND mc.movie_id = mi.movie_id AND it.id = mi.info_type_id;
-- j02
SELECT min(t.title) FROM company_name cn, keyword k, movie_companies mc, movie_keyword mk, title t
WHERE cn.country_code = '[nl]' AND k.keyword = 'character-name-in-title' AND cn.id = mc.company_id AND mc.movie_id = t.id AND t.id = mk.movie_id
  AND mk.keyword_id = k.id AND mc.movie_id = mk.movie_id;
-- j03
SELECT min(t.title) FROM keyword k, movie_info mi, movie_keyword mk, title t
WHERE k.keyword LIKE '%sequel%' AND mi.info IN ('Sweden', 'Norway', 'Germany', 'Denmark') AND t.production_year > 2005 AND t.id = mi.movie_id
  AND t.id = mk.movie_id AND mk.movie_id = mi.movie_id AND k.id = mk.keyword_id;
-- j04
SELECT min(mi.info), min(t.title) FROM info_type it, keyword k, movie_info_idx mi, movie_keyword mk, title t
WHERE it.info = 'rating' AND k.keyword = 'sequel' AND mi.info > '9.0' AND t.production_year > 2010 AND t.id = mi.movie_id AND t.id = mk.movie_id
  AND mk.movie_id = mi.movie_id AND k.id = mk.keyword_id AND it.id = mi.info_type_id;
-- j05
SELECT min(t.title) FROM company_type ct, info_type it, movie_companies mc, movie_info mi, title t
WHERE ct.kind = 'production companies' AND mc.note LIKE '%(theatrical)%' AND mi.info IN ('Sweden', 'Germany', 'Danish', 'Norwegian')
  AND t.production_year > 2005 AND t.id = mi.movie_id AND t.id = mc.movie_id AND mc.movie_id = mi.movie_id AND ct.id = mc.company_type_id AND it.id = mi.info_type_id;
-- j06
SELECT min(k.keyword), min(n.name), min(t.title) FROM cast_info ci, keyword k, movie_keyword mk, name n, title t
WHERE k.keyword = 'superhero' AND n.name LIKE '%Stone%' AND t.production_year > 2009 AND k.id = mk.keyword_id AND t.id = mk.movie_id
  AND t.id = ci.movie_id AND ci.movie_id = mk.movie_id AND n.id = ci.person_id;
-- j07
SELECT min(n.name), min(t.title) FROM aka_name an, cast_info ci, info_type it, link_type lt, movie_link ml, name n, person_info pi, title t
WHERE an.name LIKE '%a%' AND it.info = 'mini biography' AND lt.link = 'features' AND n.name_pcode_cf BETWEEN 'A' AND 'F' AND n.gender = 'm'
  AND pi.note = 'Volker Boehm' AND t.production_year BETWEEN 1980 AND 1995 AND n.id = an.person_id AND n.id = pi.person_id AND ci.person_id = n.id
  AND t.id = ci.movie_id AND ml.linked_movie_id = t.id AND lt.id = ml.link_type_id AND it.id = pi.info_type_id AND pi.person_id = an.person_id
  AND pi.person_id = ci.person_id AND an.person_id = ci.person_id AND ci.movie_id = ml.linked_movie_id;
-- j08
SELECT min(an.name), min(t.title) FROM aka_name an, cast_info ci, company_name cn, movie_companies mc, name n, role_type rt, title t
WHERE ci.note = '(voice: English version)' AND cn.country_code = '[jp]' AND mc.note LIKE '%(Japan)%' AND rt.role = 'actress' AND an.person_id = n.id
  AND n.id = ci.person_id AND ci.movie_id = t.id AND t.id = mc.movie_id AND mc.company_id = cn.id AND ci.role_id = rt.id AND an.person_id = ci.person_id
  AND ci.movie_id = mc.movie_id;
-- j09
SELECT min(chn.name), min(n.name), min(t.title) FROM cast_info ci, char_name chn, company_name cn, movie_companies mc, name n, role_type rt, title t
WHERE ci.note LIKE '%(voice%' AND cn.country_code = '[us]' AND mc.note LIKE '%(USA)%' AND n.gender = 'f' AND n.name LIKE '%Light%' AND rt.role = 'actress'
  AND t.production_year BETWEEN 2005 AND 2013 AND ci.movie_id = t.id AND t.id = mc.movie_id AND ci.movie_id = mc.movie_id AND mc.company_id = cn.id
  AND ci.role_id = rt.id AND n.id = ci.person_id AND chn.id = ci.person_role_id;
-- j10
SELECT min(chn.name), min(t.title) FROM char_name chn, cast_info ci, company_name cn, company_type ct, movie_companies mc, role_type rt, title t
WHERE ci.note LIKE '%(producer)%' AND cn.country_code = '[ru]' AND t.production_year > 2010 AND t.id = mc.movie_id AND t.id = ci.movie_id
  AND ci.movie_id = mc.movie_id AND chn.id = ci.person_role_id AND rt.id = ci.role_id AND cn.id = mc.company_id AND ct.id = mc.company_type_id;
-- j11
SELECT min(cn.name), min(lt.link), min(t.title) FROM company_name cn, company_type ct, keyword k, link_type lt, movie_companies mc, movie_keyword mk, movie_link ml, title t
WHERE cn.country_code <> '[pl]' AND (cn.name LIKE '%Film%' OR cn.name LIKE '%Warner%') AND ct.kind = 'production companies' AND k.keyword = 'sequel'
  AND lt.link LIKE '%follow%' AND mc.note IS NULL AND t.production_year BETWEEN 1950 AND 2000 AND lt.id = ml.link_type_id AND ml.movie_id = t.id
  AND t.id = mk.movie_id AND mk.keyword_id = k.id AND t.id = mc.movie_id AND mc.company_type_id = ct.id AND mc.company_id = cn.id
  AND ml.movie_id = mk.movie_id AND ml.movie_id = mc.movie_id AND mk.movie_id = mc.movie_id;
-- j12
SELECT min(cn.name), min(mi_idx.info), min(t.title)
FROM company_name cn, company_type ct, info_type it1, info_type it2, movie_companies mc, movie_info mi, movie_info_idx mi_idx, title t
WHERE cn.country_code = '[us]' AND ct.kind = 'production companies' AND it1.info = 'genres' AND it2.info = 'rating' AND mi.info IN ('Drama', 'Horror', 'Western')
  AND mi_idx.info > '8.0' AND t.production_year BETWEEN 2005 AND 2008 AND t.id = mi.movie_id AND t.id = mi_idx.movie_id AND mi.info_type_id = it1.id
  AND mi_idx.info_type_id = it2.id AND t.id = mc.movie_id AND ct.id = mc.company_type_id AND cn.id = mc.company_id AND mc.movie_id = mi.movie_id
  AND mc.movie_id = mi_idx.movie_id AND mi.movie_id = mi_idx.movie_id;
-- j13
SELECT min(mi.info), min(miidx.info), min(t.title)
FROM company_name cn, company_type ct, info_type it, info_type it2, kind_type kt, movie_companies mc, movie_info mi, movie_info_idx miidx, title t
WHERE cn.country_code = '[de]' AND ct.kind = 'production companies' AND it.info = 'rating' AND it2.info = 'release dates' AND kt.kind = 'movie'
  AND mi.movie_id = t.id AND it2.id = mi.info_type_id AND kt.id = t.kind_id AND mc.movie_id = t.id AND cn.id = mc.company_id AND ct.id = mc.company_type_id
  AND miidx.movie_id = t.id AND it.id = miidx.info_type_id AND mi.movie_id = miidx.movie_id AND mi.movie_id = mc.movie_id AND miidx.movie_id = mc.movie_id;
-- j14
SELECT min(mi_idx.info), min(t.title) FROM info_type it1, info_type it2, keyword k, kind_type kt, movie_info mi, movie_info_idx mi_idx, movie_keyword mk, title t
WHERE it1.info = 'countries' AND it2.info = 'rating' AND k.keyword IN ('murder', 'blood', 'violence') AND kt.kind = 'movie'
  AND mi.info IN ('Sweden', 'Norway', 'Germany', 'Denmark', 'USA') AND mi_idx.info < '8.5' AND t.production_year > 2010 AND kt.id = t.kind_id
  AND t.id = mi.movie_id AND t.id = mk.movie_id AND t.id = mi_idx.movie_id AND mk.movie_id = mi.movie_id AND mk.movie_id = mi_idx.movie_id
  AND mi.movie_id = mi_idx.movie_id AND k.id = mk.keyword_id AND it1.id = mi.info_type_id AND it2.id = mi_idx.info_type_id;
-- j15
SELECT min(mi.info), min(t.title)
FROM aka_title at, company_name cn, company_type ct, info_type it1, keyword k, movie_companies mc, movie_info mi, movie_keyword mk, title t
WHERE cn.country_code = '[us]' AND it1.info = 'release dates' AND mc.note LIKE '%(worldwide)%' AND mi.note LIKE '%internet%' AND mi.info LIKE 'USA:% 200%'
  AND t.production_year > 2000 AND t.id = at.movie_id AND t.id = mi.movie_id AND t.id = mk.movie_id AND t.id = mc.movie_id AND mk.movie_id = mi.movie_id
  AND mk.movie_id = mc.movie_id AND mk.movie_id = at.movie_id AND mi.movie_id = mc.movie_id AND k.id = mk.keyword_id AND it1.id = mi.info_type_id
  AND cn.id = mc.company_id AND ct.id = mc.company_type_id;
-- j16
SELECT min(an.name), min(t.title) FROM aka_name an, cast_info ci, company_name cn, keyword k, movie_companies mc, movie_keyword mk, name n, title t
WHERE cn.country_code = '[us]' AND k.keyword = 'character-name-in-title' AND t.episode_nr >= 50 AND t.episode_nr < 100 AND an.person_id = n.id
  AND n.id = ci.person_id AND ci.movie_id = t.id AND t.id = mk.movie_id AND mk.keyword_id = k.id AND t.id = mc.movie_id AND mc.company_id = cn.id
  AND an.person_id = ci.person_id AND ci.movie_id = mc.movie_id AND ci.movie_id = mk.movie_id AND mc.movie_id = mk.movie_id;
-- j17
SELECT min(n.name) FROM cast_info ci, company_name cn, keyword k, movie_companies mc, movie_keyword mk, name n, title t
WHERE k.keyword = 'character-name-in-title' AND n.name LIKE 'B%' AND n.id = ci.person_id AND ci.movie_id = t.id AND t.id = mk.movie_id
  AND mk.keyword_id = k.id AND t.id = mc.movie_id AND mc.company_id = cn.id AND ci.movie_id = mc.movie_id AND ci.movie_id = mk.movie_id AND mc.movie_id = mk.movie_id;
-- j18
SELECT min(mi.info), min(mi_idx.info), min(t.title) FROM cast_info ci, info_type it1, info_type it2, movie_info mi, movie_info_idx mi_idx, name n, title t
WHERE ci.note IN ('(producer)', '(executive producer)') AND it1.info = 'budget' AND it2.info = 'votes' AND n.gender = 'm' AND n.name LIKE '%Sign%'
  AND t.id = mi.movie_id AND t.id = mi_idx.movie_id AND t.id = ci.movie_id AND ci.movie_id = mi.movie_id AND ci.movie_id = mi_idx.movie_id
  AND mi.movie_id = mi_idx.movie_id AND n.id = ci.person_id AND it1.id = mi.info_type_id AND it2.id = mi_idx.info_type_id;
-- j19
SELECT min(n.name), min(t.title)
FROM aka_name an, char_name chn, cast_info ci, company_name cn, info_type it, movie_companies mc, movie_info mi, name n, role_type rt, title t
WHERE ci.note IN ('(voice)', '(voice: English version)') AND cn.country_code = '[us]' AND it.info = 'release dates' AND mi.info LIKE 'Japan:%'
  AND n.gender = 'f' AND n.name LIKE '%An%' AND rt.role = 'actress' AND t.production_year BETWEEN 2000 AND 2010 AND t.id = mi.movie_id AND t.id = mc.movie_id
  AND t.id = ci.movie_id AND mc.movie_id = ci.movie_id AND mc.movie_id = mi.movie_id AND mi.movie_id = ci.movie_id AND cn.id = mc.company_id
  AND it.id = mi.info_type_id AND n.id = ci.person_id AND rt.id = ci.role_id AND n.id = an.person_id AND ci.person_id = an.person_id AND chn.id = ci.person_role_id;
-- j20
SELECT min(t.title) FROM complete_cast cc, comp_cast_type cct1, comp_cast_type cct2, char_name chn, cast_info ci, keyword k, kind_type kt, movie_keyword mk, name n, title t
WHERE cct1.kind = 'cast' AND cct2.kind LIKE '%complete%' AND chn.name NOT LIKE '%Market%' AND chn.name LIKE '%River%' AND k.keyword IN ('superhero', 'sequel', 'murder')
  AND kt.kind = 'movie' AND t.production_year > 1950 AND kt.id = t.kind_id AND t.id = mk.movie_id AND t.id = ci.movie_id AND t.id = cc.movie_id
  AND mk.movie_id = ci.movie_id AND mk.movie_id = cc.movie_id AND ci.movie_id = cc.movie_id AND chn.id = ci.person_role_id AND n.id = ci.person_id
  AND k.id = mk.keyword_id AND cct1.id = cc.subject_id AND cct2.id = cc.status_id;
-- j21
SELECT min(cn.name), min(lt.link), min(t.title)
FROM company_name cn, company_type ct, keyword k, link_type lt, movie_companies mc, movie_info mi, movie_keyword mk, movie_link ml, title t
WHERE cn.country_code <> '[pl]' AND cn.name LIKE '%Film%' AND ct.kind = 'production companies' AND k.keyword = 'sequel' AND lt.link LIKE '%follow%'
  AND mc.note IS NULL AND mi.info IN ('Sweden', 'Norway', 'Germany', 'Denmark') AND t.production_year BETWEEN 1950 AND 2000 AND lt.id = ml.link_type_id
  AND ml.movie_id = t.id AND t.id = mk.movie_id AND mk.keyword_id = k.id AND t.id = mc.movie_id AND mc.company_type_id = ct.id AND mc.company_id = cn.id
  AND mi.movie_id = t.id AND ml.movie_id = mk.movie_id AND ml.movie_id = mc.movie_id AND mk.movie_id = mc.movie_id AND ml.movie_id = mi.movie_id
  AND mk.movie_id = mi.movie_id AND mc.movie_id = mi.movie_id;
-- j22
SELECT min(cn1.name), min(cn2.name), min(mi1.info), min(mi2.info), min(t1.title), min(t2.title)
FROM company_name cn1, company_name cn2, info_type it1, info_type it2, kind_type kt1, kind_type kt2, link_type lt, movie_companies mc1, movie_companies mc2,
     movie_info_idx mi1, movie_info_idx mi2, movie_link ml, title t1, title t2
WHERE cn1.country_code = '[us]' AND it1.info = 'rating' AND it2.info = 'rating' AND kt1.kind = 'tv series' AND kt2.kind = 'tv series'
  AND lt.link IN ('sequel', 'follows', 'followed by') AND mi2.info < '3.0' AND t2.production_year BETWEEN 2005 AND 2008 AND lt.id = ml.link_type_id
  AND t1.id = ml.movie_id AND t2.id = ml.linked_movie_id AND it1.id = mi1.info_type_id AND t1.id = mi1.movie_id AND kt1.id = t1.kind_id
  AND cn1.id = mc1.company_id AND t1.id = mc1.movie_id AND ml.movie_id = mi1.movie_id AND ml.movie_id = mc1.movie_id AND mi1.movie_id = mc1.movie_id
  AND it2.id = mi2.info_type_id AND t2.id = mi2.movie_id AND kt2.id = t2.kind_id AND cn2.id = mc2.company_id AND t2.id = mc2.movie_id
  AND ml.linked_movie_id = mi2.movie_id AND ml.linked_movie_id = mc2.movie_id AND mi2.movie_id = mc2.movie_id;
-- j23
SELECT count(*) FROM title t JOIN kind_type kt ON kt.id = t.kind_id WHERE kt.kind = 'tv mini series' AND t.production_year = 1999 AND t.season_nr = 3;
-- j24
SELECT n.name, count(*) FROM name n JOIN cast_info ci ON ci.person_id = n.id JOIN role_type rt ON rt.id = ci.role_id
WHERE rt.role = 'director' AND n.surname_pcode = 'C42' GROUP BY n.id ORDER BY count(*) DESC LIMIT 10;
-- j25
SELECT t.title, t.production_year FROM title t WHERE t.title LIKE 'Harbour%' ORDER BY t.production_year DESC LIMIT 20;
-- j26
SELECT t.production_year, count(*) FROM title t WHERE t.kind_id = 3 AND NOT EXISTS (SELECT 1 FROM movie_info mi WHERE mi.movie_id = t.id AND mi.info_type_id = 105)
GROUP BY t.production_year ORDER BY 1;
