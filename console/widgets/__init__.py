"""Parts that screens are painted from: a canvas of cells, the sheet that shows it, plots, words."""
