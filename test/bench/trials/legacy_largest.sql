SELECT max(amount) FROM @T@ WHERE kind = 'legacy';
