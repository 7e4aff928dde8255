"""Small tables of predictions as other tools write them."""

CAT, DOG, OWL = [0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.2, 0.2, 0.6]

# name: the table, its actual and predicted classes and scores, and what is said of it
TOOLS = {
    "scikit-learn: labels": (
        "y_true,y_pred\ncat,cat\ndog,owl\nowl,owl\n",
        ("cat dog owl", "cat owl owl", None),
        "actual is 'y_true'; predicted is 'y_pred'",
    ),
    "scikit-learn: predict_proba with pandas": (
        ",y_true,y_pred,cat,dog,owl\n0,cat,cat,0.8,0.1,0.1\n1,dog,dog,0.1,0.7,0.2\n"
        "2,owl,owl,0.2,0.2,0.6\n",
        ("cat dog owl", "cat dog owl", [CAT, DOG, OWL]),
        "scores are 'cat', 'dog', 'owl'",
    ),
    "scikit-learn: a score of the positive class": (
        "y_true,y_score\n0,0.25\n1,0.75\n1,0.25\n",
        ("0 1 1", "0 1 0", [[0.75, 0.25], [0.25, 0.75], [0.75, 0.25]]),
        "'y_score' is the probability of '1'; predicted is the class with the highest score",
    ),
    "Ultralytics: results with what was true added": (
        "path,name,class,confidence,true_label\na/1.jpg,cat,0,0.9,cat\na/2.jpg,owl,2,0.55,dog\n"
        "a/3.jpg,owl,2,0.7,owl\n",
        ("cat dog owl", "cat owl owl", None),
        "predicted is 'name'; id is 'path'; 'confidence' not used",
    ),
    "AutoGluon: predict_proba beside the data": (
        "image,label,pred,cat,dog,owl\nt/1.jpg,cat,cat,0.8,0.1,0.1\nt/2.jpg,dog,cat,0.8,0.1,0.1\n"
        "t/3.jpg,owl,owl,0.2,0.2,0.6\n",
        ("cat dog owl", "cat cat owl", [CAT, CAT, OWL]),
        "id is 'image'",
    ),
    "AutoGluon: classes are numbers": (
        "image,label,0,1\nt/1.jpg,0,0.75,0.25\nt/2.jpg,1,0.75,0.25\n",
        ("0 1", "0 0", [[0.75, 0.25], [0.75, 0.25]]),
        "predicted is the class with the highest score",
    ),
    "fastai: the table of top losses": (
        "input,target,predicted,probability,loss\na.jpg,cat,dog,0.9,2.3\nb.jpg,dog,dog,0.8,0.2\n"
        "c.jpg,cat,cat,0.85,0.5\n",
        ("cat dog cat", "dog dog cat", [[0.1, 0.9], [0.2, 0.8], [0.85, 0.15]]),
        "'probability' is the probability of the predicted class",
    ),
    "timm: a list of outputs, and what was true added": (
        'filename,index,label,prob,target\n1.jpg,0,cat,"[0.8 0.1 0.1]",cat\n'
        '2.jpg,1,dog,"[0.1 0.7 0.2]",owl\n3.jpg,2,owl,"[0.2 0.2 0.6]",owl\n',
        ("cat owl owl", "cat dog owl", [CAT, DOG, OWL]),
        "predicted is 'label'; id is 'filename'; the classes of 'prob' are 'cat', 'dog', 'owl'",
    ),
    "timm: separate columns of logits": (
        "filename,logit_0,logit_1,target,pred\n1.jpg,1.5,1.5,cat,dog\n2.jpg,0,4,cat,cat\n"
        "3.jpg,3,1,dog,dog\n",
        ("cat cat dog", "dog cat dog", [[0.5, 0.5], [0.982, 0.018], [0.119, 0.881]]),
        "the classes of 'logit_0', 'logit_1' are 'dog', 'cat', as predicted; scores are logits",
    ),
    "FiftyOne: fields of a dataset": (
        "filepath,ground_truth.label,predictions.label,predictions.confidence\n"
        "/d/1.jpg,cat,cat,0.9\n/d/2.jpg,dog,cat,0.75\n/d/3.jpg,dog,dog,0.875\n",
        ("cat dog dog", "cat cat dog", [[0.9, 0.1], [0.75, 0.25], [0.125, 0.875]]),
        "actual is 'ground_truth.label'; predicted is 'predictions.label'; id is 'filepath'",
    ),
    "Hugging Face: the pipeline's score": (
        "file_name,label,prediction,score\n1.jpg,cat,cat,0.9\n2.jpg,dog,owl,0.4\n3.jpg,owl,owl,0.9\n",
        ("cat dog owl", "cat owl owl", None),
        "'score' not used: scores of 3 classes take a column for each",
    ),
    "Hugging Face: references of evaluate, tabs": (
        "index\tprediction\treferences\n0\t1\t1\n1\t0\t1\n2\t0\t0\n",
        ("1 1 0", "1 0 0", None),
        "separated by tabs; actual is 'references'; predicted is 'prediction'; id is 'index'",
    ),
    "R, caret: obs and pred": (
        '"","pred","obs","no","yes"\n"1","no","no",0.75,0.25\n"2","yes","no",0.25,0.75\n',
        ("no no", "no yes", [[0.75, 0.25], [0.25, 0.75]]),
        "actual is 'obs'; predicted is 'pred'",
    ),
    "R, tidymodels": (
        "truth,.pred_class,.pred_no,.pred_yes\nno,no,0.75,0.25\nyes,no,0.75,0.25\n",
        ("no yes", "no no", [[0.75, 0.25], [0.75, 0.25]]),
        "scores are '.pred_no', '.pred_yes'",
    ),
    "Excel in Germany": (
        b"\xef\xbb\xbfid;Actual;Predicted;Score_cat;Score_dog\r\n1;cat;cat;0,75;0,25\r\n"
        b"2;dog;cat;0,75;0,25\r\n",
        ("cat dog", "cat cat", [[0.75, 0.25], [0.75, 0.25]]),
        "separated by semicolons; actual is 'Actual'; predicted is 'Predicted'",
    ),
    "Excel's own first line, and UTF-16": (
        "sep=;\r\nid;actual;predicted\r\n1;cat;cat\r\n2;dög;cat\r\n".encode("utf-16"),
        ("cat dög", "cat cat", None),
        "separated by semicolons; read as UTF-16",
    ),
}
TOLD = {
    "Ultralytics: results with what was true added": {"predicted": "name"},
    "timm: a list of outputs, and what was true added": {"actual": "target", "predicted": "label"},
}
"""What must be told of a table, for it can be read in more than one way."""
