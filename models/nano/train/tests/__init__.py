"""`python -m train.tests` in models/nano, or `npm run test:train`. Needs what a training needs, and no GPU."""
