from .audit import audit_page as audit_page
from .comparison import comparison_page as comparison_page, write_comparison as write_comparison
from .evaluation import write_evaluation as write_evaluation
