// The page's look into itself, window.stripchart, is declared where it is made.
import '../../web/src/page/debug.ts';
